package main

import (
	"context"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
)

// patience is how long a job may take to end.
const patience = 5 * time.Minute

// times are how long n requests took all together.
type times struct {
	n     int
	total time.Duration
}

func (t times) average() time.Duration { return t.total / time.Duration(t.n) }

// fasterThan is how many times faster t is than o.
func (t times) fasterThan(o times) float64 {
	return float64(o.total) / float64(max(t.total, 1))
}

// measure sends n requests of each kind and prints how long they took.
func measure(ctx context.Context, c *client, n int, out io.Writer, bars bars) error {
	if err := printTitle(out, n, "sequential", "/sync-task/"); err != nil {
		return err
	}
	sequential, err := inSequence(ctx, c, n, bars)
	if err != nil {
		return err
	}
	if err := printTimes(out, sequential); err != nil {
		return err
	}
	if err := printTitle(out, n, "concurrent", "/async-task/"); err != nil {
		return err
	}
	accepted, done, err := atOnce(ctx, c, n, bars)
	if err != nil {
		return err
	}
	return printGain(out, sequential, accepted, done)
}

func inSequence(ctx context.Context, c *client, n int, bars bars) (times, error) {
	bar := bars.start(n, "sync-task")
	defer bar.stop()
	start := time.Now()
	for range n {
		if err := c.syncTask(ctx); err != nil {
			return times{}, err
		}
		bar.step()
	}
	return times{n, time.Since(start)}, nil
}

// atOnce times both from the moment at which the first request is sent: until all are accepted, and until all jobs are done.
func atOnce(ctx context.Context, c *client, n int, bars bars) (accepted, done times, err error) {
	bar := bars.start(n, "async-task")
	defer bar.stop()
	ids := make([]string, n)
	start := time.Now()
	asking, askCtx := errgroup.WithContext(ctx)
	for i := range n {
		asking.Go(func() (err error) {
			ids[i], err = c.asyncTask(askCtx)
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return times{}, times{}, err
	}
	accepted = times{n, time.Since(start)}
	waiting, waitCtx := errgroup.WithContext(ctx)
	for _, id := range ids {
		waiting.Go(func() error {
			if err := c.succeeded(waitCtx, id, patience); err != nil {
				return err
			}
			bar.step()
			return nil
		})
	}
	if err := waiting.Wait(); err != nil {
		return times{}, times{}, err
	}
	return accepted, times{n, time.Since(start)}, nil
}
