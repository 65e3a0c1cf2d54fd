package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/stream"
)

// maxFetch bounds one pull request; a lane with more free slots asks again at once.
const maxFetch = 256

var errAbandoned = errors.New("too many handlers have ignored the end of their context")

// lane takes the deliveries of one durable consumer: as many as there are free slots, never more, because AckWait runs
// for what waits in the client.
type lane struct {
	w       *Worker
	js      jetstream.JetStream
	stream  string
	ackWait time.Duration
	slots   int

	free    chan struct{} // a token for each free slot
	watches chan struct{} // a token for each further delivery that may be watched
	wg      sync.WaitGroup
}

func (l *lane) init() {
	l.free = tokens(l.slots)
	l.watches = tokens(4 * l.slots)
}

func tokens(n int) chan struct{} {
	c := make(chan struct{}, n)
	for range n {
		c <- struct{}{}
	}
	return c
}

// run takes deliveries until ctx ends and then waits for what runs; hard is the context that handlers live on.
func (l *lane) run(ctx, hard context.Context) {
	defer l.wg.Wait()
	var pause time.Duration
	for ctx.Err() == nil {
		err := l.take(ctx, hard)
		if ctx.Err() != nil {
			return
		}
		if l.w.status.set(l.stream, err) {
			l.report(err)
		}
		if err == nil {
			pause = 0
			continue
		}
		pause = min(max(2*pause, 100*time.Millisecond), 2*time.Second)
		select {
		case <-ctx.Done():
		case <-l.w.link.connected():
		case <-time.After(pause):
		}
	}
}

func (l *lane) report(err error) {
	if err == nil {
		l.w.log.Info("Taking work", "stream", l.stream)
		return
	}
	l.w.log.Info("Waiting", "stream", l.stream, "for", err.Error())
}

// take gets a consumer and fetches from it until something is amiss, which it returns.
func (l *lane) take(ctx, hard context.Context) error {
	if !l.w.nc.IsConnected() {
		return errors.New("no connection to NATS")
	}
	cons, err := l.consumer(ctx)
	if err != nil {
		return err
	}
	var lookAgain time.Time
	for ctx.Err() == nil {
		if now := time.Now(); now.After(lookAgain) {
			if err := l.mayClaim(ctx); err != nil {
				return err
			}
			lookAgain = now.Add(l.ackWait)
			if l.w.status.set(l.stream, nil) {
				l.report(nil)
			}
		}
		if err := l.fetch(ctx, hard, cons); err != nil {
			return err
		}
	}
	return nil
}

func (l *lane) consumer(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	cons, err := l.js.Consumer(ctx, l.stream, l.w.cfg.Service)
	if err != nil {
		return nil, fmt.Errorf("consumer %s on %s: %w", l.w.cfg.Service, l.stream, err)
	}
	if wait := cons.CachedInfo().Config.AckWait; wait > 0 {
		l.ackWait = wait
	}
	return cons, nil
}

func (l *lane) mayClaim(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	open, err := l.w.bucket.isOpen(ctx)
	if err != nil {
		return err
	}
	if !open {
		return fmt.Errorf("bucket %s is being restored: its key %s is not there", l.w.bucket.name, stream.OpenKey)
	}
	crowded, err := l.w.bucket.crowded(ctx)
	if err != nil {
		return err
	}
	if crowded {
		return fmt.Errorf("bucket %s is over 90 %% of its limit", l.w.bucket.name)
	}
	return nil
}

// fetch asks for as many deliveries as there are free slots and starts each as it comes.
func (l *lane) fetch(ctx, hard context.Context, cons jetstream.Consumer) error {
	n := l.acquire(ctx)
	if n == 0 {
		return nil
	}
	defer func() { l.release(n) }()
	asked := time.Now()
	fetching, cancel := context.WithTimeout(ctx, l.ackWait/4)
	defer cancel()
	batch, err := cons.Fetch(n, jetstream.FetchContext(fetching))
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("fetch: %w", err)
	}
	for msg := range batch.Messages() {
		if ctx.Err() != nil {
			_ = msg.Nak() // it goes to another replica at once; unanswered, it would a little later
			continue
		}
		n--
		d := &delivery{lane: l, msg: msg, alive: asked}
		l.wg.Go(func() {
			d.slot = true
			d.run(ctx, hard)
			d.freeSlot()
		})
	}
	if err := batch.Error(); err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("fetch: %w", err)
	}
	return nil
}

// acquire takes every free slot, at most maxFetch, and waits until there is one; 0 when ctx has ended.
func (l *lane) acquire(ctx context.Context) int {
	select {
	case <-l.free:
	case <-ctx.Done():
		return 0
	}
	n := 1
	for n < maxFetch {
		select {
		case <-l.free:
			n++
		default:
			return n
		}
	}
	return n
}

func (l *lane) release(n int) {
	for range n {
		l.free <- struct{}{}
	}
}
