package worker_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/event"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// A task that has all its slots taken, and a queue, holds up no other of its service in the same stream.
func TestATaskHasSlotsOfItsOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	second := stream.Durable{Name: "tasker-pictures", Service: "tasker", Stream: stream.Tasks, Type: event.ImageRequested}
	if _, err := r.js.CreateConsumer(t.Context(), second.Stream, jetstream.ConsumerConfig{
		Durable: second.Name, FilterSubject: "task.picture", AckPolicy: jetstream.AckExplicitPolicy, AckWait: long, MaxAckPending: -1,
	}); err != nil {
		t.Fatal(err)
	}
	h := newHeld(t)
	w := worker.New(r.s.Connect(), worker.Config{Service: "tasker", Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	worker.Handle(w, worker.Spec{Task: "demo", Concurrency: 2}, h.do)
	worker.HandleOn(w, second, worker.Spec{Task: "pictures", Concurrency: 1}, func(_ context.Context, e event.Event[event.ImageRequestedData]) (map[string]int, error) {
		return map[string]int{"n": h.add(e.ID)}, nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})

	const queued = 200
	for i := range queued {
		r.publish(jobID(i))
	}
	r.await(jobID(1), event.Running)
	for i := range 20 {
		id := "picture-" + jobID(i)
		e, err := event.New(id, time.Now(), event.ImageRequestedData{ImageURL: "http://localhost", Operations: []event.Operation{{Name: "resize"}}}, "tasker")
		if err != nil {
			t.Fatal(err)
		}
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		r.send(&nats.Msg{Subject: "task.picture", Data: b})
	}
	for i := range 20 {
		r.await("picture-"+jobID(i), event.Succeeded)
	}
	if pending, running := r.waiting(); pending != queued-2 || running != 2 {
		t.Errorf("%d wait and %d run of the other task, want %d and 2", pending, running, queued-2)
	}
	if err := w.Ready(); err != nil {
		t.Error(err)
	}
	h.letGo()
	r.settled()
	h.onceEach(t)
}

// How many slots a task has is the process's affair: with another number it goes on where the last one was.
func TestOtherSlotsGoOnWhereTheLastOnesWere(t *testing.T) {
	t.Parallel()
	r := newRig(t, stream.AckWait)
	made := r.consumer().Created
	const jobs = 120
	for i := range jobs {
		r.publish(jobID(i))
	}
	var e effects
	do := func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		e.add(ev.ID)
		return nil, nil
	}
	for round, slots := range []int{1, 16, 3} {
		run := r.launch(nil, worker.Spec{Concurrency: slots}, worker.Config{}, do)
		r.eventually(func() bool { return e.jobs() >= jobs/3*(round+1) })
		if err := run.stop(); err != nil {
			t.Fatal(err)
		}
		r.s.Ensure()
	}
	r.start(nil, worker.Spec{}, worker.Config{}, do)
	r.settled()
	if now := r.consumer(); !now.Created.Equal(made) || now.AckFloor.Stream != jobs {
		t.Errorf("made at %s, now %+v", made, now)
	}
	e.onceEach(t)
}
