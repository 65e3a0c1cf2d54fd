package main

import (
	"context"
	"sync"
	"time"

	"handoff/bench/internal/embedded"
)

const (
	lagEvery = 200 * time.Millisecond
	// catchUp is how long is waited at most for NATS to have everything.
	catchUp = time.Minute
	users   = "USERS"
)

// lag is how far NATS was behind what had been accepted, as /health says it.
type lag struct {
	most  int64         // at any time of the load
	end   int64         // as the load ended
	open  uint64        // jobs in the stream of users as the load ended: what the workers still had to do
	cpu   time.Duration // of the child meanwhile; 0 where that is not known
	after time.Duration // from then on until NATS had everything; below zero if it never had
}

// watchLag runs load and asks all the while how far NATS is behind, and then until it is not.
func watchLag(ctx context.Context, child *embedded.Child, load func()) (l lag, err error) {
	over, stop := context.WithCancel(ctx)
	var most int64
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(lagEvery)
		defer tick.Stop()
		for {
			select {
			case <-over.Done():
				return
			case <-tick.C:
				if h, err := child.Health(over); err == nil { // one question that is not answered in time is no matter
					most = max(most, h.Store.Unrelayed)
				}
			}
		}
	})
	before, _ := child.CPU()
	load()
	ended := time.Now()
	used, _ := child.CPU()
	h, err := child.Health(ctx)
	stop()
	wait.Wait()
	if err != nil {
		return lag{}, err
	}
	l = lag{most: max(most, h.Store.Unrelayed), end: h.Store.Unrelayed, open: h.Stream(users).Messages, cpu: used - before}
	for h.Store.Unrelayed > 0 && time.Since(ended) < catchUp {
		select {
		case <-ctx.Done():
			return l, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
		if h, err = child.Health(ctx); err != nil {
			return l, err
		}
	}
	l.after = time.Since(ended)
	if h.Store.Unrelayed > 0 {
		l.after = -1
	}
	return l, nil
}
