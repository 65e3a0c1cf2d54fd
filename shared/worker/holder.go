package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/event"
)

// endGrace is how long a handler whose context has ended by a shutdown or a lost claim may take to return.
const endGrace = time.Second

// holder is a running claim. One goroutine, run, owns its record: nobody else writes it.
type holder struct {
	w       *Worker
	task    *task
	env     *event.Envelope
	token   string
	ackWait time.Duration
	began   time.Time

	record   *event.Record
	revision uint64
	progress *progress
	told     chan struct{} // gets one when the record should be looked at now

	mu         sync.Mutex
	deliveries []jetstream.Msg // nil once the claim is over
}

func newHolder(d *delivery, r *event.Record, revision uint64) *holder {
	return &holder{
		w: d.lane.w, task: d.task, env: d.env, token: d.token, ackWait: d.ackWait, began: time.Now(),
		record: r, revision: revision, progress: newProgress(), told: make(chan struct{}, 1),
		deliveries: []jetstream.Msg{d.msg},
	}
}

// attach lets the claim speak for another delivery of the same job; false when it is over.
func (h *holder) attach(msg jetstream.Msg) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.deliveries == nil {
		return false
	}
	h.deliveries = append(h.deliveries, msg)
	return true
}

// settle ends the claim's word for its deliveries; nil lets them go unanswered.
func (h *holder) settle(answer func(jetstream.Msg) error) {
	h.w.held.remove(h)
	h.mu.Lock()
	msgs := h.deliveries
	h.deliveries = nil
	h.mu.Unlock()
	if answer == nil {
		return
	}
	for _, m := range msgs {
		if err := answer(m); err != nil {
			h.w.log.Debug("Answer a delivery", "job", h.env.ID, "error", err) // it comes again and meets the record
		}
	}
}

type result struct {
	value []byte
	err   error
}

// run runs the handler and keeps the claim until its end is recorded or it is lost. hard is the context that handlers live on.
func (h *holder) run(hard context.Context) {
	ctx, cancel := context.WithCancelCause(hard)
	defer cancel(nil)
	attempt, stop := context.WithTimeoutCause(withProgress(ctx, h.progress), h.task.spec.Timeout, ErrTimeout)
	defer stop()

	done := make(chan result, 1)
	number := h.record.Attempt // h.record is written while the handler runs
	go func() {
		res := result{err: errGoexit}
		defer func() { done <- res }()
		res = h.call(attempt, number)
	}()
	res, returned, lost := h.keep(hard, attempt, cancel, done)
	if lost != nil {
		h.lose(lost)
	} else {
		h.finish(hard, h.outcome(attempt, res))
	}
	if !returned {
		h.abandon(done)
	}
}

// call runs the handler, in its middleware.
func (h *holder) call(ctx context.Context, number int) result {
	value, err := h.task.run(ctx, &Task{Envelope: *h.env, Service: h.w.cfg.Service, Name: h.task.spec.Task, Attempt: number})
	return result{value, err}
}

// keep keeps record and deliveries alive until the handler returns, or has not in spite of the end of its context. lost says why the
// claim is not this process's any more. returned: the handler's goroutine is done.
func (h *holder) keep(hard, attempt context.Context, cancel context.CancelCauseFunc, done <-chan result) (res result, returned bool, lost error) {
	tick := time.NewTicker(h.ackWait / 4)
	defer tick.Stop()
	last := time.Now()
	ended, stopping := attempt.Done(), hard.Done()
	up := h.w.link.connected()
	var giveUp <-chan time.Time
	for {
		select {
		case res = <-done:
			return res, true, lost
		case <-giveUp:
			return result{err: context.Cause(attempt)}, false, lost
		case <-ended:
			ended = nil
			giveUp = time.After(h.patience(context.Cause(attempt)))
			continue
		case <-stopping: // whatever the context ended of before
			stopping, ended = nil, nil
			giveUp = time.After(endGrace)
			continue
		case <-h.progress.poke:
			if !h.progress.due(time.Now()) {
				continue
			}
		case <-up:
			up = h.w.link.connected()
		case <-h.told:
		case <-tick.C:
		}
		now := time.Now()
		if since(last, now) > h.ackWait {
			cancel(ErrPaused)
		}
		last = now
		if lost == nil {
			if lost = h.beat(attempt); lost != nil {
				cancel(lost)
			}
		}
	}
}

func (h *holder) patience(cause error) time.Duration {
	if errors.Is(cause, ErrTimeout) {
		return h.task.spec.TimeoutGrace
	}
	return endGrace
}

// lose lets go of a claim that is over, for what is recorded already. One that was cancelled has ended, and needs no other delivery.
func (h *holder) lose(cause error) {
	log := h.w.log.With("job", h.env.ID, "task", h.task.spec.Task)
	if errors.Is(cause, ErrCancelled) {
		log.Info("Task was cancelled while it ran")
		h.w.metrics.end(h.task.spec.Task, "cancelled", time.Since(h.began))
		h.settle(jetstream.Msg.Ack)
		return
	}
	log.Warn("Claim lost to another process")
	h.w.metrics.end(h.task.spec.Task, "replaced", time.Since(h.began))
	h.settle(nil)
}

// isLost reports whether err says that the claim is over.
func isLost(err error) bool { return errors.Is(err, ErrReplaced) || errors.Is(err, ErrCancelled) }

// beat tells the server and, through the record, everybody else that the holder lives. The error says why the claim is over.
func (h *holder) beat(ctx context.Context) error {
	if !h.w.nc.IsConnected() {
		return nil
	}
	h.mu.Lock()
	msgs := h.deliveries
	h.mu.Unlock()
	for _, m := range msgs {
		_ = m.InProgress()
	}
	next := *h.record
	next.Progress = h.progress.take(time.Now())
	if err := h.replace(ctx, &next); isLost(err) {
		return err
	}
	return nil
}

// replace writes the record as the claim's. The error is ErrReplaced when the claim is another's, ErrCancelled when the task was
// cancelled; after any other the record may
// or may not have been written, and the call can be made again.
func (h *holder) replace(ctx context.Context, next *event.Record) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.ackWait/2)
	defer cancel()
	revision, err := h.w.bucket.write(ctx, h.env.ID, next, h.revision)
	if errors.Is(err, errConflict) {
		if err = h.catchUp(ctx, next); err == nil {
			revision, err = h.w.bucket.write(ctx, h.env.ID, next, h.revision)
		}
	}
	if err != nil {
		return err
	}
	h.record, h.revision = next, revision
	return nil
}

// catchUp finds out why the record is at another revision, and adopts that if next may still be written.
func (h *holder) catchUp(ctx context.Context, next *event.Record) error {
	r, revision, err := h.w.bucket.read(ctx, h.env.ID)
	switch {
	case err != nil:
		return err
	case r == nil:
		h.w.bucket.doubt() // gone with its bucket: it is put back
	case r.State == event.Cancelled && r.Generation >= h.record.Generation:
		return ErrCancelled
	case r.Holder == h.token && (r.State == event.Running || r.State == next.State):
		// An earlier write came through and its answer did not. If it was the end, writing it again says the same.
	case r.State == event.Running:
		h.w.bucket.doubt()
		_, open, err := h.w.bucket.isOpen(ctx)
		if err != nil {
			return err
		}
		if open {
			return ErrReplaced
		}
		// A bucket that is being restored: that claim waits at the gate and has not begun, this one has.
	default:
		return ErrReplaced
	}
	h.revision = revision
	return nil
}

// abandon counts a handler that goes on after its context has ended; when there are too many the worker gives up.
func (h *holder) abandon(done <-chan result) {
	n := h.w.abandoned.Add(1)
	h.w.log.Error("Handler ignores the end of its context; its slot is given to another", "job", h.env.ID, "task", h.task.spec.Task, "abandoned", n)
	h.w.metrics.abandoned.Set(float64(n))
	if n > int64(h.task.spec.Concurrency) {
		h.w.fail(errAbandoned)
	}
	go func() {
		<-done
		h.w.metrics.abandoned.Set(float64(h.w.abandoned.Add(-1)))
	}()
}
