package worker_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"handoff/shared/event"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

func TestALongRunStaysAlive(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	h := newHeld(t)
	spec := worker.Spec{Timeout: time.Minute, Concurrency: 2}
	r.start(nil, spec, worker.Config{}, h.do)
	r.start(nil, spec, worker.Config{}, h.do)
	r.publish("one")
	rec := r.await("one", event.Running)
	// A touch each quarter of an AckWait: twenty are five AckWaits.
	revisions := map[uint64]bool{}
	r.eventually(func() bool {
		_, revision := r.entry("one")
		revisions[revision] = true
		return len(revisions) > 20
	})
	h.letGo()
	end := r.await("one", event.Succeeded)
	if end.Attempt != 1 || end.Claim != 1 || end.Holder != rec.Holder || h.of("one") != 1 {
		t.Errorf("%d runs: %+v", h.of("one"), end)
	}
	r.settled()
}

func TestProgressRidesOnTouches(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	h := newHeld(t)
	r.start(nil, worker.Spec{}, worker.Config{}, func(ctx context.Context, e event.Event[data]) (map[string]int, error) {
		for i := range 1000 {
			worker.Progress(ctx, float64(i)/10, "on the way")
		}
		worker.Progress(ctx, 250, "nearly")
		return h.do(ctx, e)
	})
	r.publish("one")
	r.eventually(func() bool {
		rec, revision := r.entry("one")
		if revision > 10 {
			t.Fatalf("revision %d: each word was written", revision)
		}
		return rec != nil && rec.Progress != nil && rec.Progress.Percent == 100 && rec.Progress.Note == "nearly"
	})
	h.letGo()
	if rec := r.await("one", event.Succeeded); rec.Progress == nil || rec.Progress.Note != "nearly" {
		t.Errorf("at its end: %+v", rec.Progress)
	}
	worker.Progress(t.Context(), 1, "outside a handler")
}

func TestAHandlerThatIgnoresItsContextLosesItsSlot(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	h := newHeld(t)
	spec := worker.Spec{Concurrency: 1, Timeout: 50 * time.Millisecond, TimeoutGrace: 50 * time.Millisecond, Backoff: worker.Backoff{Base: time.Hour, Max: time.Hour}}
	run := r.start(nil, spec, worker.Config{}, func(ctx context.Context, e event.Event[data]) (map[string]int, error) {
		if e.ID == "deaf" {
			return h.stubborn(ctx, e)
		}
		return map[string]int{}, nil
	})
	r.publish("deaf")
	rec := r.await("deaf", event.Retrying)
	if rec.Attempt != 1 || rec.Error != "attempt timed out after 50ms" {
		t.Errorf("%+v", rec)
	}
	r.publish("next")
	r.await("next", event.Succeeded)
	if err := run.w.Ready(); err != nil {
		t.Errorf("one deaf handler: %v", err)
	}
	h.letGo()
	r.publish("last")
	r.await("last", event.Succeeded)
	if rec := r.record("deaf"); rec.State != event.Retrying || rec.Attempt != 1 {
		t.Errorf("a given up handler wrote %+v", rec)
	}
}

func TestTooManyDeafHandlersEndTheWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	h := newHeld(t)
	spec := worker.Spec{Concurrency: 2, Timeout: 50 * time.Millisecond, TimeoutGrace: 50 * time.Millisecond, Backoff: worker.Backoff{Base: time.Hour, Max: time.Hour}}
	run := r.launch(nil, spec, worker.Config{Grace: 50 * time.Millisecond}, h.stubborn)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		r.publish(id)
	}
	r.eventually(func() bool {
		select {
		case <-run.done:
			return true
		default:
			return false
		}
	})
	if err := run.stop(); err == nil {
		t.Error("Run ended without an error")
	}
	if run.w.Ready() == nil {
		t.Error("it is ready")
	}
}

func TestShutdownWithinTheGraceFinishes(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	h := newHeld(t)
	run := r.start(nil, worker.Spec{Concurrency: 1}, worker.Config{Grace: time.Minute}, h.do)
	r.publish("one")
	r.await("one", event.Running)
	r.publish("two")
	ended := make(chan error)
	go func() { ended <- run.stop() }()
	r.awaitReady(run, "stopping")
	h.letGo()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if rec := r.record("one"); rec.State != event.Succeeded || rec.Attempt != 1 {
		t.Errorf("%+v", rec)
	}
	if rec := r.record("two"); rec != nil {
		t.Errorf("begun after the signal: %+v", rec)
	}
	r.start(nil, worker.Spec{}, worker.Config{}, h.do)
	r.await("two", event.Succeeded)
	r.settled()
}

func TestShutdownPastTheGraceGivesBack(t *testing.T) {
	t.Parallel()
	for name, deaf := range map[string]bool{"listens": false, "deaf": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, long) // AckWait is long: it can only come again because it was nak'd
			h := newHeld(t)
			do := h.do
			if deaf {
				do = h.stubborn
			}
			run := r.start(nil, worker.Spec{Concurrency: 1}, worker.Config{Grace: 50 * time.Millisecond}, do)
			r.publish("one")
			r.await("one", event.Running)
			if err := run.stop(); err != nil {
				t.Fatal(err)
			}
			rec := r.record("one")
			if rec.State != event.Retrying || !rec.Released || rec.Attempt != 1 || rec.Due == nil || rec.Error != "" {
				t.Errorf("given back as %+v", rec)
			}
			if last := rec.Steps[len(rec.Steps)-1]; last.Error != worker.ErrShutdown.Error() {
				t.Errorf("last step %+v", last)
			}
			r.start(nil, worker.Spec{}, worker.Config{}, func(_ context.Context, e event.Event[data]) (map[string]int, error) {
				return map[string]int{"attempt": e.Attempt}, nil
			})
			rec = r.await("one", event.Succeeded)
			if rec.Attempt != 1 || rec.Claim != 2 || rec.Released || string(rec.Result) != `{"attempt":1}` {
				t.Errorf("done as %+v", rec)
			}
			r.settled()
		})
	}
}

// Stops in the midst of many deliveries lose none and do none twice.
func TestShutdownsInTheMidstOfManyDeliveries(t *testing.T) {
	t.Parallel()
	r := newRig(t, stream.AckWait)
	const jobs = 600
	for i := range jobs {
		r.publish(jobID(i))
	}
	var e effects
	for round := range 6 {
		var begun atomic.Int32
		run := r.launch(nil, worker.Spec{Concurrency: 256}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
			e.add(ev.ID)
			begun.Add(1)
			return nil, nil
		})
		r.eventually(func() bool { return begun.Load() > int32(10*round) || e.jobs() == jobs })
		if err := run.stop(); err != nil {
			t.Fatal(err)
		}
	}
	r.start(nil, worker.Spec{Concurrency: 64}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		e.add(ev.ID)
		return nil, nil
	})
	r.settled()
	if e.jobs() != jobs {
		t.Errorf("%d of %d jobs", e.jobs(), jobs)
	}
	e.onceEach(t)
}

// A handler that has timed out does not hold a stopping process up.
func TestShutdownDoesNotWaitForTheTimeoutsGrace(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	h := newHeld(t)
	var timedOut atomic.Bool
	run := r.start(nil, worker.Spec{Timeout: 20 * time.Millisecond, TimeoutGrace: time.Hour}, worker.Config{Grace: 50 * time.Millisecond},
		func(ctx context.Context, e event.Event[data]) (map[string]int, error) {
			<-ctx.Done()
			timedOut.Store(errors.Is(context.Cause(ctx), worker.ErrTimeout))
			return h.stubborn(ctx, e)
		})
	r.publish("one")
	r.eventually(timedOut.Load)
	if err := run.stop(); err != nil {
		t.Fatal(err)
	}
	if rec := r.record("one"); rec.State != event.Retrying || rec.Released {
		t.Errorf("%+v", rec)
	}
}
