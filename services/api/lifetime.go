package api

import (
	"context"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
)

// A group is parts that run until they are stopped, or until one of them fails or panics.
type group struct {
	tasks  *errgroup.Group
	cancel context.CancelFunc
}

// begin runs parts on a context that outlives ctx, and calls over when one of them has failed or all are stopped.
func begin(ctx context.Context, over func(), parts ...func(context.Context) error) *group {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	tasks, running := errgroup.WithContext(running)
	context.AfterFunc(running, over)
	for _, part := range parts {
		tasks.Go(func() (err error) {
			defer func() {
				if v := recover(); v != nil {
					err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
				}
			}()
			return part(running)
		})
	}
	return &group{tasks: tasks, cancel: cancel}
}

// stop ends the parts, waits for them and gives the error of the one that failed.
func (g *group) stop() error {
	g.cancel()
	return g.tasks.Wait()
}

// endless makes a part of what has no error to give.
func endless(run func(context.Context)) func(context.Context) error {
	return func(ctx context.Context) error {
		run(ctx)
		return nil
	}
}
