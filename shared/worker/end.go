package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/event"
	"handoff/shared/worker/internal/claim"
)

// outcome is what the attempt comes to.
func (h *holder) outcome(attempt context.Context, res result) claim.Outcome {
	if res.err == nil {
		return claim.Outcome{Result: res.value}
	}
	switch cause := context.Cause(attempt); {
	case errors.Is(cause, ErrShutdown), errors.Is(cause, ErrPaused):
		return claim.Outcome{Release: true, Err: cause}
	case errors.Is(cause, ErrTimeout):
		if res.err == cause { //nolint:errorlint // only what keep made of it: nothing more to say
			res.err = fmt.Errorf("%w after %s", ErrTimeout, h.task.spec.Timeout)
		} else {
			res.err = fmt.Errorf("%w after %s: %w", ErrTimeout, h.task.spec.Timeout, res.err)
		}
	}
	o := claim.Outcome{Err: res.err, Delay: h.task.spec.Backoff.delay(h.record.Attempt, random)}
	var permanent *permanentError
	o.Permanent = errors.As(res.err, &permanent)
	var later *retryAfterError
	if errors.As(res.err, &later) {
		o.Delay = later.after
	}
	return o
}

// finish records the end, however long that takes, and then answers the deliveries.
func (h *holder) finish(hard context.Context, o claim.Outcome) {
	next := claim.End(h.record, o, h.task.spec.Attempts, h.env.NotAfter, h.w.clock.now())
	next.Progress = h.progress.last()
	for {
		err := h.replace(hard, next)
		if err == nil {
			break
		}
		if isLost(err) {
			h.w.log.Debug("An end comes too late to be recorded", "job", h.env.ID, "task", h.task.spec.Task, "state", string(next.State))
			h.lose(err)
			return
		}
		h.w.log.Debug("Record an end", "job", h.env.ID, "error", err)
		if errors.Is(err, errFull) {
			// What is no larger than before still fits, and shows that the holder lives.
			touch := *h.record
			_ = h.replace(hard, &touch)
		}
		if !h.awaitAnother(hard) {
			h.w.log.Warn("Stopped before the end of a task could be recorded; it will be done again", "job", h.env.ID, "task", h.task.spec.Task)
			h.settle(nil)
			return
		}
	}
	h.answer(next, o)
}

// awaitAnother waits before the end is written once more; false when the process must stop.
func (h *holder) awaitAnother(hard context.Context) bool {
	select {
	case <-hard.Done():
		return false
	case <-h.w.link.connected():
	case <-time.After(250 * time.Millisecond):
	}
	if h.w.nc.IsConnected() {
		h.mu.Lock()
		msgs := h.deliveries
		h.mu.Unlock()
		for _, m := range msgs {
			_ = m.InProgress()
		}
	}
	return true
}

func (h *holder) answer(r *event.Record, o claim.Outcome) {
	log := h.w.log.With("job", h.env.ID, "task", h.task.spec.Task, "attempt", r.Attempt)
	outcome := string(r.State)
	switch r.State {
	case event.Succeeded:
		h.settle(jetstream.Msg.Ack)
	case event.Dead:
		log.Warn("Task is dead", "error", r.Error)
		h.settle(func(m jetstream.Msg) error { return m.TermWithReason(event.Cut(r.Error, 200)) })
	default:
		wait := o.Delay
		if r.Released {
			outcome, wait = "released", 0
			log.Info("Task given back", "cause", o.Err.Error())
		} else {
			log.Info("Task failed, will be tried again", "in", wait.Round(time.Millisecond).String(), "error", r.Error)
		}
		h.settle(func(m jetstream.Msg) error {
			switch {
			case r.Released:
				return giveBack(m)
			case wait <= 0:
				return m.Nak()
			}
			return m.NakWithDelay(wait)
		})
	}
	h.w.metrics.end(h.task.spec.Task, outcome, time.Since(h.began))
}
