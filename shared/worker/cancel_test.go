package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"handoff/shared/event"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// cancel writes over a job's record that its task was cancelled, as the api does.
func (r *rig) cancel(id string) {
	r.t.Helper()
	rec := r.record(id)
	if rec == nil {
		rec = &event.Record{}
	}
	now := time.Now().UTC()
	next := *rec
	next.State, next.Holder, next.Due, next.Ended = event.Cancelled, "", nil, &now
	next.AddStep(now, "")
	r.put(id, &next)
}

// tell has the tasker hear that a job was cancelled.
func (r *rig) tell(id string) {
	r.t.Helper()
	b, err := json.Marshal(event.Cancel{Job: id})
	if err != nil {
		r.t.Fatal(err)
	}
	nc := r.s.Connect()
	if err := errors.Join(nc.Publish(stream.CancelSubject("tasker"), b), nc.Flush()); err != nil {
		r.t.Fatal(err)
	}
}

// blocked is a handler that says when it begins, and then waits for the end of its context, whose cause it gives away.
func blocked() (h handler, begun chan struct{}, causes chan error) {
	begun, causes = make(chan struct{}, 8), make(chan error, 8)
	return func(ctx context.Context, _ event.Event[data]) (map[string]int, error) {
		begun <- struct{}{}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil, ctx.Err()
	}, begun, causes
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(within):
		t.Fatalf("nothing within %s", within)
		panic("unreachable")
	}
}

// What runs ends at once when it is told, and at its next touch when it is not.
func TestCancelEndsTheContextOfWhatRuns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		ackWait time.Duration
		told    bool
	}{
		{"told", long, true}, // the next touch is minutes away
		{"not told", short, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.ackWait)
			h, begun, causes := blocked()
			r.start(nil, worker.Spec{Timeout: time.Hour}, worker.Config{}, h)
			r.publish("one")
			receive(t, begun)
			r.cancel("one")
			if c.told {
				r.tell("one")
			}
			if cause := receive(t, causes); !errors.Is(cause, worker.ErrCancelled) {
				t.Errorf("the context ended with %v", cause)
			}
			r.settled()
			if rec := r.record("one"); rec.State != event.Cancelled || rec.Attempt != 1 {
				t.Errorf("the record is %+v", rec)
			}
			if len(begun) != 0 {
				t.Error("it was begun again")
			}
		})
	}
}

// An end that comes after the cancel is refused, whatever it is.
func TestEndAfterACancelIsRefused(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"success": nil, "error": errors.New("boom"), "permanent": worker.Permanent(errors.New("boom"))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, long)
			begun, finish := make(chan struct{}), make(chan struct{})
			r.start(nil, worker.Spec{Timeout: time.Hour}, worker.Config{}, func(context.Context, event.Event[data]) (map[string]int, error) {
				close(begun)
				<-finish
				return map[string]int{"n": 1}, err
			})
			r.publish("one")
			receive(t, begun)
			r.cancel("one")
			close(finish)
			r.settled()
			if rec := r.record("one"); rec.State != event.Cancelled || rec.Result != nil {
				t.Errorf("the record is %+v", rec)
			}
		})
	}
}

// What was cancelled before it began is not done, however often it is asked for; a redrive of it is.
func TestCancelledTaskIsSkipped(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	var runs atomic.Int32
	r.cancel("one")
	r.publish("one")
	r.publish("one")
	r.start(nil, worker.Spec{}, worker.Config{}, func(context.Context, event.Event[data]) (map[string]int, error) {
		runs.Add(1)
		return nil, nil
	})
	r.settled()
	if n := runs.Load(); n != 0 || r.record("one").State != event.Cancelled {
		t.Errorf("it ran %d times, and its record is %+v", n, r.record("one"))
	}
	r.again(1)
	if rec := r.await("one", event.Succeeded); rec.Generation != 1 || runs.Load() != 1 {
		t.Errorf("asked for again it ran %d times, and its record is %+v", runs.Load(), rec)
	}
}

// Word of a cancel is only a hint: the record decides.
func TestWordWithoutARecordChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	begun, finish := make(chan struct{}), make(chan struct{})
	r.start(nil, worker.Spec{Timeout: time.Hour}, worker.Config{}, func(ctx context.Context, _ event.Event[data]) (map[string]int, error) {
		close(begun)
		<-finish
		return nil, context.Cause(ctx)
	})
	r.publish("one")
	receive(t, begun)
	_, before := r.entry("one")
	r.tell("other")
	r.tell("one")
	r.eventually(func() bool { _, now := r.entry("one"); return now > before })
	close(finish)
	r.await("one", event.Succeeded)
}
