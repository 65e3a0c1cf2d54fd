package worker_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"handoff/shared/event"
	"handoff/shared/worker"
)

func jobID(i int) string { return "job-" + strconv.Itoa(i) }

func TestReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	const jobs = 300
	var each [2]effects
	var all effects
	for i := range each {
		r.start(nil, worker.Spec{Concurrency: 4}, worker.Config{}, func(_ context.Context, e event.Event[data]) (map[string]int, error) {
			each[i].add(e.ID)
			all.add(e.ID)
			return nil, nil
		})
	}
	for i := range jobs {
		r.publish(jobID(i))
		if i%10 == 0 {
			r.publish(jobID(i)) // a duplicate, past the server's window
		}
	}
	r.settled()
	if all.jobs() != jobs {
		t.Errorf("%d of %d jobs", all.jobs(), jobs)
	}
	all.onceEach(t)
	if each[0].jobs() == 0 || each[1].jobs() == 0 {
		t.Errorf("%d and %d: one had nothing to do", each[0].jobs(), each[1].jobs())
	}
}

func TestADuplicateOfWhatHasEndedIsSkipped(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	var e effects
	r.start(nil, worker.Spec{}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		e.add(ev.ID)
		return nil, nil
	})
	r.publish("one")
	r.await("one", event.Succeeded)
	r.publish("one")
	r.again(0)
	r.settled()
	e.onceEach(t)
}

func TestADuplicateOfWhatRunsIsAnsweredWithIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	h := newHeld(t)
	r.start(nil, worker.Spec{Concurrency: 2}, worker.Config{}, h.do)
	r.publish("one")
	r.await("one", event.Running)
	for range 5 { // more than there are slots: none is held by one that is attached
		r.publish("one")
	}
	r.publish("other")
	r.await("other", event.Running)
	h.letGo()
	r.await("one", event.Succeeded)
	r.settled()
	h.onceEach(t)
}

func TestADuplicateDoesNotBreakABackoff(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	var e effects
	r.start(nil, worker.Spec{}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		e.add(ev.ID)
		return nil, worker.RetryAfter(time.Hour, errors.New("come back later"))
	})
	r.publish("one")
	r.await("one", event.Retrying)
	r.publish("one")
	r.eventually(func() bool {
		pending, unanswered := r.waiting()
		return pending == 0 && unanswered == 2
	})
	r.publish("two")
	r.await("two", event.Retrying)
	e.onceEach(t)
}

func TestARedriveRunsAgainInItsGeneration(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	var e effects
	r.start(nil, worker.Spec{Attempts: 1}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		if e.add(ev.ID) == 1 {
			return nil, errors.New("not yet")
		}
		return map[string]int{"attempt": ev.Attempt}, nil
	})
	r.publish("one")
	r.await("one", event.Dead)
	r.again(1)
	rec := r.await("one", event.Succeeded)
	if rec.Generation != 1 || rec.Attempt != 1 || rec.Claim != 2 || rec.Error != "" {
		t.Errorf("%+v", rec)
	}
	r.again(1)
	r.publish("one")
	r.settled()
	if e.of("one") != 2 {
		t.Errorf("%d runs", e.of("one"))
	}
}

// A message of a higher generation is not answered by a claim of a lower one.
func TestARedriveOfWhatStillRunsIsNotLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	h := newHeld(t)
	r.start(nil, worker.Spec{}, worker.Config{}, h.do)
	r.publish("one")
	r.await("one", event.Running)
	r.again(1)
	r.eventually(func() bool { pending, _ := r.waiting(); return pending == 0 })
	_, before := r.entry("one")
	r.eventually(func() bool { _, now := r.entry("one"); return now > before+3 }) // by then the message has met the claim
	h.letGo()
	r.eventually(func() bool { rec := r.record("one"); return rec.Generation == 1 && rec.State == event.Succeeded })
	r.settled()
}

func TestAKilledHolderIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	h := newHeld(t)
	first := r.launch(nil, worker.Spec{}, worker.Config{Grace: 10 * time.Millisecond}, h.do)
	r.publish("one")
	r.await("one", event.Running)
	first.nc.Close() // as a kill: nothing is answered, nothing is written
	r.start(nil, worker.Spec{}, worker.Config{}, func(_ context.Context, e event.Event[data]) (map[string]int, error) {
		return map[string]int{"attempt": e.Attempt}, nil
	})
	rec := r.await("one", event.Succeeded)
	if rec.Attempt != 2 || rec.Claim != 2 || string(rec.Result) != `{"attempt":2}` {
		t.Errorf("%+v", rec)
	}
	if err := first.stop(); err != nil {
		t.Error(err)
	}
	r.settled()
}

func TestWhatKillsProcessesIsBuried(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	r.put("poison", &event.Record{State: event.Running, Claim: 3, Attempt: 3, Holder: "killed"})
	r.put("given-back", &event.Record{State: event.Retrying, Claim: 5, Attempt: 3, Holder: "stopped", Released: true})
	var e effects
	r.start(nil, worker.Spec{Attempts: 3}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		e.add(ev.ID)
		return nil, nil
	})
	r.publish("poison")
	r.publish("given-back")
	if rec := r.await("poison", event.Dead); rec.Attempt != 3 || e.of("poison") != 0 || rec.Error == "" {
		t.Errorf("%+v", rec)
	}
	if rec := r.await("given-back", event.Succeeded); rec.Attempt != 3 {
		t.Errorf("%+v", rec)
	}
	r.settled()
}

// A holder that was cut off finds out that it was replaced, and records nothing.
func TestAHolderThatWasCutOffIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	p := newProxy(t, r.s)
	h := newHeld(t)
	cause := make(chan error, 1)
	r.start(p.connect(), worker.Spec{}, worker.Config{}, func(ctx context.Context, e event.Event[data]) (map[string]int, error) {
		h.add(e.ID)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return map[string]int{"by": 1}, nil
	})
	r.publish("one")
	r.eventually(func() bool { return h.of("one") == 1 }) // its claim is written before, and might not be known to it yet
	p.cut()
	r.start(nil, worker.Spec{}, worker.Config{}, func(context.Context, event.Event[data]) (map[string]int, error) {
		return map[string]int{"by": 2}, nil
	})
	r.await("one", event.Succeeded)
	p.heal()
	select {
	case err := <-cause:
		if !errors.Is(err, worker.ErrReplaced) && !errors.Is(err, worker.ErrPaused) {
			t.Errorf("ended by %v", err)
		}
	case <-time.After(within):
		t.Fatal("the first holder was not told")
	}
	r.settled()
	if rec := r.record("one"); string(rec.Result) != `{"by":2}` || rec.Attempt != 2 {
		t.Errorf("%+v", rec)
	}
}

// A lost connection alone, with nobody to take over, costs nothing.
func TestAShortCutIsSatThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	p := newProxy(t, r.s)
	h := newHeld(t)
	r.start(p.connect(), worker.Spec{}, worker.Config{}, h.do)
	r.publish("one")
	r.await("one", event.Running)
	_, before := r.entry("one")
	p.cut()
	p.heal()
	r.eventually(func() bool { _, now := r.entry("one"); return now > before })
	h.letGo()
	if rec := r.await("one", event.Succeeded); rec.Attempt != 1 || rec.Claim != 1 {
		t.Errorf("%+v", rec)
	}
	r.settled()
	h.onceEach(t)
}

// An end whose answer was lost is not an end twice, and not one that is lost.
func TestAnEndDuringACutIsRecordedAfterIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	p := newProxy(t, r.s)
	h := newHeld(t)
	r.start(p.connect(), worker.Spec{}, worker.Config{}, h.do)
	r.publish("one")
	r.await("one", event.Running)
	p.cut()
	h.letGo()
	p.heal()
	r.await("one", event.Succeeded)
	r.settled()
	h.onceEach(t)
}

// Somebody at a terminal can delete a record, or write nonsense over it, without stopping the service.
func TestRecordsThatPeopleTouched(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	kv := r.kv()
	if _, err := kv.PutString(t.Context(), "deleted", "x"); err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), "deleted"); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "nonsense", "x"); err != nil {
		t.Fatal(err)
	}
	h := newHeld(t)
	run := r.start(nil, worker.Spec{Concurrency: 1}, worker.Config{}, h.do)
	r.publish("nonsense")
	r.publish("deleted")
	r.await("deleted", event.Running)
	if err := kv.Delete(t.Context(), "deleted"); err != nil { // its holder puts it back
		t.Fatal(err)
	}
	r.await("deleted", event.Running)
	h.letGo()
	r.await("deleted", event.Succeeded)
	if err := run.w.Ready(); err != nil {
		t.Error(err)
	}
	if h.of("nonsense") != 0 {
		t.Error("a record that cannot be read was replaced")
	}
	if err := kv.Purge(t.Context(), "nonsense"); err != nil {
		t.Fatal(err)
	}
	r.await("nonsense", event.Succeeded)
	r.settled()
	h.onceEach(t)
}
