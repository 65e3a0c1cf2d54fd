package worker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/event"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// AckWait runs for what waits in a client, and nobody speaks for it there: so nothing does.
func TestNoMoreIsFetchedThanThereAreSlots(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	h := newHeld(t)
	for i := range 10 {
		r.publish(jobID(i))
	}
	r.start(nil, worker.Spec{Concurrency: 2}, worker.Config{}, h.do)
	r.await(jobID(1), event.Running)
	r.eventually(func() bool {
		pending, unanswered := r.waiting()
		return pending == 8 && unanswered == 2
	})
	h.letGo()
	r.settled()
	h.onceEach(t)
}

// A task that waits for its next attempt keeps its place among those that are unanswered. The server's own limit of those, 1,000, would
// leave the service standing still.
func TestManyThatFailHoldUpNoneThatIsWell(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	const failing = 1100
	var e effects
	r.start(nil, worker.Spec{Concurrency: 64}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		e.add(ev.ID)
		if ev.ID == "well" {
			return nil, nil
		}
		return nil, worker.RetryAfter(time.Hour, errors.New("the far side is away"))
	})
	for i := range failing {
		r.publish(jobID(i))
	}
	r.eventually(func() bool {
		pending, unanswered := r.waiting()
		return pending == 0 && unanswered == failing && e.jobs() == failing
	})
	r.publish("well")
	r.await("well", event.Succeeded)
	e.onceEach(t)
}

// The server keeps a nak's delay over a restart, or sends the message again at once; the record says when it is due.
func TestARetryKeepsItsTimeOverAServersRestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	var e effects
	run := r.start(nil, worker.Spec{}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		if e.add(ev.ID) == 1 {
			return nil, worker.RetryAfter(3*time.Second, errors.New("not yet"))
		}
		return nil, nil
	})
	r.publish("one")
	due := r.await("one", event.Retrying).Due
	r.s.Stop()
	r.awaitReady(run, "no connection to NATS")
	r.s.Restart()
	r.eventually(r.js.Conn().IsConnected)
	rec := r.await("one", event.Succeeded)
	if rec.Attempt != 2 || e.of("one") != 2 {
		t.Errorf("%d runs: %+v", e.of("one"), rec)
	}
	for _, s := range rec.Steps {
		if s.Attempt == 2 && s.At.Before(*due) {
			t.Errorf("due at %s, and %+v", due, s)
		}
	}
	r.settled()
}

// An operator who pauses a consumer stops the service, and loses nothing.
func TestAPausedConsumerIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	h := newHeld(t)
	run := r.start(nil, worker.Spec{}, worker.Config{}, h.do)
	r.publish("running")
	r.await("running", event.Running)
	paused, err := r.js.PauseConsumer(t.Context(), stream.Tasks, "tasker", time.Now().Add(time.Hour))
	if err != nil || !paused.Paused {
		t.Fatalf("%+v, %v", paused, err)
	}
	r.publish("waits")
	h.letGo()
	r.await("running", event.Succeeded)
	r.s.Ensure() // which does not end the pause
	r.awaitReady(run, "")
	if pending, _ := r.waiting(); pending != 1 || h.of("waits") != 0 {
		t.Errorf("%d wait, and it ran %d times", pending, h.of("waits"))
	}
	if _, err := r.js.ResumeConsumer(t.Context(), stream.Tasks, "tasker"); err != nil {
		t.Fatal(err)
	}
	r.await("waits", event.Succeeded)
	r.settled()
	h.onceEach(t)
}

// A power loss brings back the record of a claim that is over in this process. Nobody speaks for its deliveries any more.
func TestARecordOfAClaimThatIsOverIsTakenOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	var e effects
	r.start(nil, worker.Spec{}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		return map[string]int{"run": e.add(ev.ID)}, nil
	})
	r.publish("one")
	before := r.await("one", event.Succeeded)
	r.settled()
	r.put("one", &event.Record{State: event.Running, Claim: before.Claim, Attempt: before.Attempt, Holder: before.Holder})
	r.publish("one")
	if rec := r.await("one", event.Succeeded); rec.Claim != 2 || rec.Attempt != 2 || string(rec.Result) != `{"run":2}` {
		t.Errorf("%+v", rec)
	}
	r.settled()
}

// A consumer that is made again begins at the stream's beginning: an ack floor that was remembered may lie above all there is.
func TestARecreatedStreamIsDeliveredFromItsBeginning(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	var e effects
	run := r.start(nil, worker.Spec{}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		e.add(ev.ID)
		return nil, nil
	})
	for i := range 20 {
		r.publish(jobID(i))
	}
	r.settled()
	if err := r.js.DeleteStream(t.Context(), stream.Tasks); err != nil {
		t.Fatal(err)
	}
	r.awaitReady(run, "consumer tasker on TASKS")
	s, err := r.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: stream.Tasks, Subjects: []string{"task.>"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		r.publish(jobID(i))       // done before
		r.publish(jobID(100 + i)) // new, all below the old floor
	}
	r.s.Ensure()
	r.await(jobID(104), event.Succeeded)
	r.settled()
	if info, err := s.Info(t.Context()); err != nil || info.State.LastSeq != 10 || e.jobs() != 25 {
		t.Errorf("%d jobs were done; the stream is %+v (%v)", e.jobs(), info.State, err)
	}
	e.onceEach(t)
}
