package worker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"handoff/shared/event"
	"handoff/shared/worker"
)

// Whoever has no answer to a write, and has lost the connection, doesn't know whether it came through. It did.
func TestALostAnswerIsNoLostWrite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		words string // of the write
		there func(*event.Record) bool
		end   event.State
		do    func() error
	}{
		"to a claim": {"$KV.JOBS_tasker.one ", func(r *event.Record) bool { return r != nil }, event.Succeeded, func() error { return nil }},
		"to a success": {`{"state":"succeeded"`, func(r *event.Record) bool { return r != nil && r.State == event.Succeeded }, event.Succeeded,
			func() error { return nil }},
		"to a failure": {`{"state":"retrying"`, func(r *event.Record) bool { return r != nil && r.State == event.Retrying }, event.Retrying,
			func() error { return worker.RetryAfter(time.Hour, errors.New("boom")) }},
		"to a death": {`{"state":"dead"`, func(r *event.Record) bool { return r != nil && r.State == event.Dead }, event.Dead,
			func() error { return worker.Permanent(errors.New("boom")) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 30*time.Second)
			p := newProxy(t, r.s)
			var e effects
			run := r.start(p.connect(), worker.Spec{}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
				e.add(ev.ID)
				return nil, c.do()
			})
			r.awaitReady(run, "")
			p.muteAfter(c.words)
			r.publish("one")
			r.eventually(func() bool { return c.there(r.record("one")) })
			p.cut()
			p.heal()
			rec := r.await("one", c.end)
			if c.end != event.Retrying {
				r.settled()
			}
			if rec.Attempt != 1 || rec.Claim != 1 || e.of("one") != 1 {
				t.Errorf("%d runs: %+v", e.of("one"), rec)
			}
			r.publish("two") // its connection is as good as before
			r.await("two", c.end)
		})
	}
}

// A bury's answer may be lost, too; what is done about it is the same.
func TestALostAnswerToABurialIsNoLostBurial(t *testing.T) {
	t.Parallel()
	r := newRig(t, 30*time.Second)
	p := newProxy(t, r.s)
	run := r.start(p.connect(), worker.Spec{}, worker.Config{}, func(context.Context, event.Event[data]) (map[string]int, error) {
		t.Error("it was run")
		return nil, nil
	})
	r.awaitReady(run, "")
	p.muteAfter(`{"state":"dead"`)
	r.publish("one", func(e *event.Envelope) { at := time.Now().Add(-time.Minute); e.NotAfter = &at })
	r.await("one", event.Dead)
	p.cut()
	p.heal()
	r.settled()
}
