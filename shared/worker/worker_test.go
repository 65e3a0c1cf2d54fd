package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

type rig struct {
	t  *testing.T
	s  *natstest.Server
	js jetstream.JetStream
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s := natstest.Run(t)
	return &rig{t: t, s: s, js: s.JetStream()}
}

// publish sends a task.requested event for the tasker.
func (r *rig) publish(id string) {
	r.t.Helper()
	e, err := event.New(id, time.Now(), event.TaskRequestedData{DurationMS: 1}, "tasker")
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := e.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.js.PublishMsg(r.t.Context(), &nats.Msg{Subject: "task.requested", Data: b}); err != nil {
		r.t.Fatal(err)
	}
}

type handler = worker.HandlerFunc[event.TaskRequestedData, map[string]int]

// start runs a worker for the tasker; the returned function stops it and waits.
func (r *rig) start(spec worker.Spec, cfg worker.Config, h handler) (stop func()) {
	r.t.Helper()
	cfg.Service = "tasker"
	cfg.Logger = slog.New(slog.NewTextHandler(r.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	nc := r.s.Connect()
	w := worker.New(nc, cfg)
	worker.Handle(w, spec, h)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) record(id string) *event.Record {
	r.t.Helper()
	kv, err := r.js.KeyValue(r.t.Context(), stream.Bucket("tasker"))
	if err != nil {
		r.t.Fatal(err)
	}
	e, err := kv.Get(r.t.Context(), id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		r.t.Fatal(err)
	}
	rec, err := event.DecodeRecord(e.Value())
	if err != nil {
		r.t.Fatal(err)
	}
	return rec
}

func (r *rig) await(id string, want event.State) *event.Record {
	r.t.Helper()
	var rec *event.Record
	eventually(r.t, 20*time.Second, func() bool {
		rec = r.record(id)
		return rec != nil && rec.State == want
	})
	return rec
}

// settled waits until nothing of the consumer is pending or unanswered.
func (r *rig) settled() {
	r.t.Helper()
	eventually(r.t, 20*time.Second, func() bool {
		c, err := r.js.Consumer(r.t.Context(), stream.Tasks, "tasker")
		if err != nil {
			return false
		}
		i := c.CachedInfo()
		return i.NumPending == 0 && i.NumAckPending == 0
	})
}

func eventually(t *testing.T, within time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s", within)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestASuccessIsRecordedAndAcked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(worker.Spec{Task: "demo"}, worker.Config{}, func(context.Context, event.Event[event.TaskRequestedData]) (map[string]int, error) {
		return map[string]int{"n": 7}, nil
	})
	r.publish("one")
	rec := r.await("one", event.Succeeded)
	var res map[string]int
	if err := json.Unmarshal(rec.Result, &res); err != nil || res["n"] != 7 {
		t.Errorf("result %s, %v", rec.Result, err)
	}
	r.settled()
}

func TestAnErrorIsTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var n atomic.Int32
	r.start(worker.Spec{Task: "demo", Backoff: worker.Backoff{Base: time.Millisecond, Max: 50 * time.Millisecond}}, worker.Config{},
		func(_ context.Context, e event.Event[event.TaskRequestedData]) (map[string]int, error) {
			if n.Add(1) < 3 {
				return nil, errors.New("not yet")
			}
			return map[string]int{"attempt": e.Attempt}, nil
		})
	r.publish("one")
	rec := r.await("one", event.Succeeded)
	if rec.Attempt != 3 || len(rec.Steps) != 6 {
		t.Errorf("attempt %d after %d steps: %+v", rec.Attempt, len(rec.Steps), rec.Steps)
	}
	r.settled()
}

func BenchmarkTasks(b *testing.B) {
	s := natstest.Run(b)
	js := s.JetStream()
	for i := range b.N {
		e, _ := event.New("job"+time.Now().Format("150405.000000")[7:]+string(rune('a'+i%26))+itoa(i), time.Now(), event.TaskRequestedData{}, "tasker")
		body, _ := e.Encode()
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: "task.requested", Data: body}); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	var n atomic.Int64
	all := make(chan struct{})
	w := worker.New(s.Connect(), worker.Config{Service: "tasker", Logger: slog.New(slog.DiscardHandler)})
	worker.Handle(w, worker.Spec{Task: "demo", Concurrency: 64}, func(context.Context, event.Event[event.TaskRequestedData]) (struct{}, error) {
		if n.Add(1) == int64(b.N) {
			close(all)
		}
		return struct{}{}, nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	b.ResetTimer()
	done := make(chan struct{})
	go func() { _ = w.Run(ctx); close(done) }()
	<-all
	cancel()
	<-done
}

func itoa(i int) string { b, _ := json.Marshal(i); return string(b) }
