package worker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"handoff/shared/event"
	"handoff/shared/worker"
)

// One host's clock is minutes ahead, another's behind: a retry comes when it is due by the server's, and what is given back at once.
func TestClocksThatDifferByMinutes(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	h := newHeld(t)
	ahead := r.launchAt(10*time.Minute, nil, worker.Spec{}, worker.Config{Grace: 50 * time.Millisecond},
		func(ctx context.Context, e event.Event[data]) (map[string]int, error) {
			if e.ID == "held" {
				return h.do(ctx, e)
			}
			h.add(e.ID)
			return nil, worker.RetryAfter(time.Second, errors.New("come back later"))
		})
	r.publish("retried")
	r.publish("held")
	rec := r.await("retried", event.Retrying)
	if off := time.Until(*rec.Due); off > time.Minute || off < -time.Minute {
		t.Errorf("due in %s by the server's clock", off)
	}
	r.await("held", event.Running)
	if err := ahead.stop(); err != nil {
		t.Fatal(err)
	}
	behind := r.launchAt(-10*time.Minute, nil, worker.Spec{}, worker.Config{}, func(_ context.Context, e event.Event[data]) (map[string]int, error) {
		return map[string]int{"n": h.add(e.ID)}, nil
	})
	for _, id := range []string{"held", "retried"} {
		if rec := r.await(id, event.Succeeded); rec.Claim != 2 || h.of(id) != 2 || rec.Ended.Before(*rec.Started) {
			t.Errorf("%s: %+v", id, rec)
		}
	}
	if err := behind.stop(); err != nil {
		t.Fatal(err)
	}
}

// And so is a holder that lives: nobody takes over by a clock.
func TestASkewedClockTakesNothingFromAHolder(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2*short)
	h := newHeld(t)
	spec := worker.Spec{Concurrency: 4}
	first := r.launchAt(-10*time.Minute, nil, spec, worker.Config{}, h.do)
	r.publish("one")
	r.await("one", event.Running)
	second := r.launchAt(10*time.Minute, nil, spec, worker.Config{}, h.do)
	r.publish("one") // a duplicate, which the second may be given
	r.publish("one")
	_, before := r.entry("one")
	r.eventually(func() bool { _, now := r.entry("one"); return now > before+12 })
	h.letGo()
	if rec := r.await("one", event.Succeeded); rec.Claim != 1 {
		t.Errorf("%+v", rec)
	}
	r.settled()
	h.onceEach(t)
	for _, run := range []*running{first, second} {
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	}
}
