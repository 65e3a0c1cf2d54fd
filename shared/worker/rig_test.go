package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(natstest.Leftover)) }

const (
	within = 30 * time.Second
	// short is an AckWait for tests that wait for one: still longer than a busy machine stands still.
	short = time.Second
	// long is an AckWait for tests in which nothing may come again for want of an answer.
	long = 10 * time.Minute
)

type (
	data    = event.TaskRequestedData
	handler = worker.HandlerFunc[data, map[string]int]
)

// rig is a server, and the tasker's side of it.
type rig struct {
	t  *testing.T
	s  *natstest.Server
	js jetstream.JetStream
}

func newRig(t *testing.T, ackWait time.Duration) *rig {
	t.Helper()
	s := natstest.Run(t)
	r := &rig{t: t, s: s, js: s.JetStream()}
	r.setAckWait(ackWait)
	return r
}

func (r *rig) setAckWait(d time.Duration) {
	r.t.Helper()
	c, err := r.js.Consumer(r.t.Context(), stream.Tasks, "tasker")
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := c.CachedInfo().Config
	cfg.AckWait = d
	if _, err := r.js.UpdateConsumer(r.t.Context(), stream.Tasks, cfg); err != nil {
		r.t.Fatal(err)
	}
}

// publish sends a task.requested event for the tasker; change, if any, is made to it first. There is no Nats-Msg-Id: what is
// published twice is there twice.
func (r *rig) publish(id string, change ...func(*event.Envelope)) {
	r.t.Helper()
	e, err := event.New(id, time.Now(), data{DurationMS: 1}, "tasker")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range change {
		f(e)
	}
	b, err := e.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	r.send(&nats.Msg{Subject: "task.requested", Data: b})
}

// again sends the event of job one once more, for the tasker alone and at a generation.
func (r *rig) again(generation int) {
	r.t.Helper()
	e, err := event.New("one", time.Now(), data{DurationMS: 1}, "tasker")
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := e.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	m := nats.NewMsg(stream.RetrySubject("tasker", event.TaskRequested))
	m.Data = b
	m.Header.Set(stream.HeaderGeneration, strconv.Itoa(generation))
	r.send(m)
}

func (r *rig) send(m *nats.Msg) {
	r.t.Helper()
	if _, err := r.js.PublishMsg(r.t.Context(), m); err != nil {
		r.t.Fatal(err)
	}
}

// running is a worker of the tasker at work.
type running struct {
	w    *worker.Worker
	nc   *nats.Conn
	stop func() error // ends Run and waits for it
	done <-chan struct{}
}

// start runs a worker over nc, which is made when it is nil. It is stopped with the test and must then have ended well.
func (r *rig) start(nc *nats.Conn, spec worker.Spec, cfg worker.Config, h handler, use ...worker.Middleware) *running {
	r.t.Helper()
	run := r.launch(nc, spec, cfg, h, use...)
	r.t.Cleanup(func() {
		if err := run.stop(); err != nil {
			r.t.Errorf("Run: %v", err)
		}
	})
	return run
}

func (r *rig) launch(nc *nats.Conn, spec worker.Spec, cfg worker.Config, h handler, use ...worker.Middleware) *running {
	r.t.Helper()
	return r.launchAt(0, nc, spec, cfg, h, use...)
}

// launchAt runs a worker on a host whose clock is ahead.
func (r *rig) launchAt(ahead time.Duration, nc *nats.Conn, spec worker.Spec, cfg worker.Config, h handler, use ...worker.Middleware) *running {
	r.t.Helper()
	cfg.Service = "tasker"
	cfg.Logger = slog.New(slog.NewTextHandler(r.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	if nc == nil {
		nc = r.s.Connect()
	}
	if spec.Task == "" {
		spec.Task = "demo"
	}
	w := worker.New(nc, cfg)
	worker.Handle(w, spec, h)
	w.Use(use...)
	worker.SetClockAhead(w, ahead)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		err = w.Run(ctx)
	}()
	r.t.Cleanup(cancel)
	return &running{w: w, nc: nc, done: done, stop: func() error { cancel(); <-done; return err }}
}

// awaitReady waits until the worker is ready, or says that it waits for what.
func (r *rig) awaitReady(run *running, what string) {
	r.t.Helper()
	r.eventually(func() bool {
		err := run.w.Ready()
		if what == "" {
			return err == nil
		}
		return err != nil && strings.Contains(err.Error(), what)
	})
}

func (r *rig) kv() jetstream.KeyValue {
	r.t.Helper()
	kv, err := r.js.KeyValue(r.t.Context(), stream.Bucket("tasker"))
	if err != nil {
		r.t.Fatal(err)
	}
	return kv
}

// entry gives a job's record and its revision; nil when there is none.
func (r *rig) entry(id string) (*event.Record, uint64) {
	r.t.Helper()
	e, err := r.kv().Get(r.t.Context(), id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0
	}
	if err != nil {
		r.t.Fatal(err)
	}
	rec, err := event.DecodeRecord(e.Value())
	if err != nil {
		r.t.Fatal(err)
	}
	return rec, e.Revision()
}

func (r *rig) record(id string) *event.Record {
	r.t.Helper()
	rec, _ := r.entry(id)
	return rec
}

// put writes a record as somebody else would have.
func (r *rig) put(id string, rec *event.Record) {
	r.t.Helper()
	b, err := rec.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.kv().Put(r.t.Context(), id, b); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) await(id string, want event.State) *event.Record {
	r.t.Helper()
	var rec *event.Record
	r.eventually(func() bool {
		rec = r.record(id)
		return rec != nil && rec.State == want
	})
	return rec
}

// settled waits until nothing of the consumer is pending or unanswered.
func (r *rig) settled() {
	r.t.Helper()
	r.eventually(func() bool {
		pending, unanswered := r.waiting()
		return pending == 0 && unanswered == 0
	})
}

func (r *rig) consumer() *jetstream.ConsumerInfo {
	r.t.Helper()
	c, err := r.js.Consumer(r.t.Context(), stream.Tasks, "tasker")
	if err != nil {
		r.t.Fatal(err)
	}
	return c.CachedInfo()
}

func (r *rig) waiting() (pending, unanswered int) {
	c, err := r.js.Consumer(r.t.Context(), stream.Tasks, "tasker")
	if err != nil {
		return -1, -1
	}
	i := c.CachedInfo()
	return int(i.NumPending), i.NumAckPending
}

func (r *rig) eventually(ok func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			r.t.Fatalf("not within %s", within)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
