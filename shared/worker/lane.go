package worker

import (
	"cmp"
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

// lull is how long a fetch must have brought nothing before it is broken off at a stop.
const lull = 50 * time.Millisecond

// giveBack lets another process have what this one stops doing: after a moment, because the fetch that is being broken off
// here would be sent it again, and its answer lost.
func giveBack(msg jetstream.Msg) error { return msg.NakWithDelay(4 * lull) }

var (
	errAbandoned    = errors.New("too many handlers have ignored the end of their context")
	errNoConnection = errors.New("no connection to NATS")
)

// lane takes the deliveries of one task's consumer: as many as there are free slots, never more, because AckWait runs for what
// waits in the client. The slots are the task's own.
type lane struct {
	w       *Worker
	js      jetstream.JetStream
	stream  string
	durable string
	slots   int

	free    chan struct{} // a token for each free slot
	watches chan struct{} // a token for each further delivery that may be watched
	wg      sync.WaitGroup
}

func (l *lane) name() string { return l.durable + " on " + l.stream }

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
		up := l.w.link.connected()
		worked, err := l.take(ctx, hard)
		if ctx.Err() != nil {
			return
		}
		if l.w.status.set(l.name(), err, time.Now()) {
			l.report(err)
		}
		if worked {
			pause = 0
		}
		pause = min(max(2*pause, 100*time.Millisecond), 2*time.Second)
		select {
		case <-ctx.Done():
		case <-up:
		case <-time.After(pause):
		}
	}
}

func (l *lane) report(err error) {
	if err == nil {
		l.w.log.Info("Taking work", "stream", l.stream, "consumer", l.durable)
		return
	}
	l.w.log.Info("Waiting", "stream", l.stream, "consumer", l.durable, "for", err.Error())
}

// take gets a consumer and fetches from it until something is amiss, which it returns; worked tells whether it came to fetch.
func (l *lane) take(ctx, hard context.Context) (worked bool, err error) {
	if !l.w.nc.IsConnected() {
		return false, errNoConnection
	}
	cons, ackWait, err := l.consumer(ctx)
	if err != nil {
		return false, err
	}
	var lookAgain time.Time
	for ctx.Err() == nil {
		n := l.acquire(ctx)
		if err := l.mayClaim(ctx, &lookAgain, ackWait); err != nil {
			l.release(n)
			return worked, err
		}
		if l.w.status.set(l.name(), nil, time.Now()) {
			l.report(nil)
		}
		if err := l.fetch(ctx, hard, cons, n, ackWait); err != nil {
			return worked, err
		}
		worked = true
	}
	return worked, nil
}

func (l *lane) consumer(ctx context.Context) (jetstream.Consumer, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	cons, err := l.js.Consumer(ctx, l.stream, l.durable)
	if err != nil {
		return nil, 0, fmt.Errorf("consumer %s: %w", l.name(), err)
	}
	return cons, cmp.Or(cons.CachedInfo().Config.AckWait, stream.AckWait), nil
}

// mayClaim says why nothing new should be claimed. It looks at the bucket's gate each time, at its size now and then.
func (l *lane) mayClaim(ctx context.Context, lookAgain *time.Time, every time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if now := time.Now(); now.After(*lookAgain) {
		crowded, err := l.w.bucket.crowded(ctx)
		if err != nil {
			return err
		}
		if crowded {
			return fmt.Errorf("bucket %s is over 90 %% of its limit", l.w.bucket.name)
		}
		*lookAgain = now.Add(min(every, stream.AckWait))
	}
	_, open, err := l.w.bucket.isOpen(ctx)
	if err != nil {
		return err
	}
	if !open {
		return fmt.Errorf("bucket %s is being restored: its key %s is not there", l.w.bucket.name, stream.OpenKey)
	}
	return nil
}

// fetch asks for n deliveries, for which it has the slots, and starts each as it comes.
func (l *lane) fetch(ctx, hard context.Context, cons jetstream.Consumer, n int, ackWait time.Duration) error {
	defer func() { l.release(n) }()
	if n == 0 || ctx.Err() != nil {
		return nil
	}
	asked := time.Now()
	fetching, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackWait/4)
	defer cancel()
	batch, err := cons.Fetch(n, jetstream.FetchContext(fetching))
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	// The fetch outlives ctx until nothing comes any more: what is under way to this process would else wait for its AckWait.
	stopping := ctx.Done()
	var quiet <-chan time.Time
	for open := true; open; {
		select {
		case <-stopping:
			stopping, quiet = nil, time.After(lull)
		case <-quiet:
			cancel()
			quiet = nil
		case msg, more := <-batch.Messages():
			switch {
			case !more:
				open = false
			case ctx.Err() != nil:
				_ = giveBack(msg)
				quiet = time.After(lull)
			default:
				n--
				l.start(ctx, hard, &delivery{lane: l, msg: msg, ackWait: ackWait, alive: asked, slot: true})
			}
		}
	}
	if err := batch.Error(); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("fetch: %w", err)
	}
	return nil
}

func (l *lane) start(ctx, hard context.Context, d *delivery) {
	l.wg.Go(func() {
		defer d.freeSlot()
		l.w.guard(func() { d.run(ctx, hard) })
	})
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
