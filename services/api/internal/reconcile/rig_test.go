package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/lease"
	"handoff/services/api/internal/projection"
	"handoff/services/api/internal/reconcile"
	"handoff/services/api/internal/relay"
	"handoff/services/api/internal/sweep"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// world is an api without its HTTP side, and the services mailer, notifier and tasker, over a real server.
type world struct {
	t    *testing.T
	nats *natstest.Server
	js   jetstream.JetStream
	path string // of api.db
	log  *slog.Logger
	n    int

	holder holder
	soon   time.Duration // and Alive, of sweep.Options
	store  *bolt.Store
	writer *commit.Committer
	keeper *reconcile.Reconciler
	halt   func()

	mu    sync.Mutex
	runs  map[string]int // by job/service: how often a handler has done it
	hold  chan struct{}  // handlers wait until it is closed
	fails map[string]int // by job/service: how many attempts are still to fail
}

// holder is the holder of a lease that a test decides about. It leads.
type holder struct{ standing atomic.Int32 } // minus Leading

func (h *holder) Standing() lease.Standing { return lease.Leading + lease.Standing(h.standing.Load()) }

func (h *holder) set(s lease.Standing) { h.standing.Store(int32(s - lease.Leading)) }

func (*holder) Store() string { return "" }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, nats: natstest.Start(t), path: filepath.Join(t.TempDir(), "api.db"), log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		runs: map[string]int{}, fails: map[string]int{}, hold: make(chan struct{}),
	}
	close(w.hold)
	w.js = w.nats.JetStream()
	return w
}

// start starts the api over the file as it is.
func (w *world) start() {
	w.t.Helper()
	var err error
	if w.store, err = bolt.Open(w.path); err != nil {
		w.t.Fatal(err)
	}
	last, err := w.store.LastKey()
	if err != nil {
		w.t.Fatal(err)
	}
	nc := w.nats.Connect()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1<<15), jetstream.WithPublishAsyncTimeout(2*time.Second))
	if err != nil {
		w.t.Fatal(err)
	}
	rows, err := backlog.Load(w.store, time.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	var out *relay.Relay
	w.writer = commit.New(w.store, last, rows.Committed, func(c *commit.Changes) { out.Committed(c) })
	w.keeper = reconcile.New(nc, js, stream.Config{MaxStore: natstest.MaxStore, History: true}, w.log)
	if out, err = relay.New(w.store, w.writer, w.keeper, js, w.log); err != nil {
		w.t.Fatal(err)
	}
	back := projection.New(w.store, w.writer, w.keeper, accept.NewEmails(), js, w.log)
	sweeper := sweep.New(sweep.Options{
		JetStream: js, Writer: w.writer, Backlog: rows, Projection: back, Gate: w.keeper, Log: w.log, Soon: w.soon, Alive: w.soon,
	})
	w.keeper.Restore(reconcile.Parts{Holder: &w.holder, Store: w.store, Writer: w.writer, Backlog: rows, Relay: out, Reading: back, Sweep: sweeper})

	working, stopWorking := context.WithCancel(context.Background())
	writing, stopWriting := context.WithCancel(context.Background())
	var parts, writer sync.WaitGroup
	writer.Go(func() {
		if err := w.writer.Run(writing); err != nil {
			w.t.Errorf("writer: %v", err)
		}
	})
	for _, run := range []func(context.Context){w.keeper.Run, out.Run, back.Run, sweeper.Run} {
		parts.Go(func() { run(working) })
	}
	w.halt = sync.OnceFunc(func() {
		stopWorking()
		parts.Wait()
		stopWriting()
		writer.Wait()
		_ = w.store.Close()
		nc.Close()
	})
	w.t.Cleanup(w.halt)
}

// services starts the workers until the test ends.
func (w *world) services(names ...string) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, name := range names {
		k := worker.New(w.nats.Connect(), worker.Config{Service: name, Logger: w.log, Grace: time.Second})
		spec := worker.Spec{Task: "t", Concurrency: 16, Backoff: worker.Backoff{Base: time.Second, Max: 2 * time.Second}}
		if name == "tasker" {
			worker.Handle(k, spec, func(ctx context.Context, e event.Event[event.TaskRequestedData]) (struct{}, error) {
				return struct{}{}, w.handle(ctx, e.ID, name)
			})
		} else {
			worker.Handle(k, spec, func(ctx context.Context, e event.Event[event.UserCreatedData]) (struct{}, error) {
				return struct{}{}, w.handle(ctx, e.ID, name)
			})
		}
		wg.Go(func() { _ = k.Run(ctx) })
	}
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	w.t.Cleanup(stop)
	return stop
}

func (w *world) handle(ctx context.Context, id, service string) error {
	key := event.Key(id, service)
	w.mu.Lock()
	hold := w.hold
	fails := w.fails[key] > 0
	if fails {
		w.fails[key]--
	}
	w.mu.Unlock()
	if fails {
		return errors.New("not yet")
	}
	select {
	case <-hold:
	case <-ctx.Done():
		return ctx.Err()
	}
	w.mu.Lock()
	w.runs[key]++
	w.mu.Unlock()
	return nil
}

// accept accepts n jobs of a type, as the accept does, and gives their ids.
func (w *world) accept(n int, p func(id string) event.Payload, services ...string) []string {
	w.t.Helper()
	var ids []string
	err := w.writer.Do(func(v *commit.View) error {
		for range n {
			w.n++
			id := fmt.Sprintf("job-%04d", w.n)
			ids = append(ids, id)
			var env *event.Envelope
			var err error
			switch p := p(id).(type) {
			case event.UserCreatedData:
				env, err = event.New(id, time.Now(), p, services...)
			case event.TaskRequestedData:
				env, err = event.New(id, time.Now(), p, services...)
			}
			if err != nil {
				return err
			}
			data, err := env.Encode()
			if err != nil {
				return err
			}
			key, name := v.NextKey(), stream.ForType(env.Type)
			v.Accept(commit.Accept{Key: key, Stream: name, Subject: stream.Subject(env.Type, services), Job: id, Data: data},
				job.New(env, name, key, services))
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return ids
}

func (w *world) users(n int) []string {
	w.t.Helper()
	return w.accept(n, func(id string) event.Payload {
		return event.UserCreatedData{UserID: "u-" + id, Email: id + "@example.com", Username: "a"}
	}, "mailer", "notifier")
}

func (w *world) tasks(n int) []string {
	w.t.Helper()
	return w.accept(n, func(string) event.Payload { return event.TaskRequestedData{DurationMS: 1} }, "tasker")
}

// until waits until f is true.
func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !f(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited too long: %s (%v, %v)", what, w.keeper.Err(), w.keeper.Restored())
		}
		<-time.After(10 * time.Millisecond)
	}
}

// all reports whether a task of every job is as f wants it.
func (w *world) all(ids []string, service string, f func(*job.Task) bool) bool {
	for _, id := range ids {
		j, err := w.store.Job(id)
		if err != nil || service == "" && !j.State().Ended() {
			return false
		}
		if service != "" && !f(j.Task(service)) {
			return false
		}
	}
	return true
}

func (w *world) ended(ids []string) {
	w.t.Helper()
	w.until("all jobs have ended", func() bool { return w.all(ids, "", nil) })
}

func (w *world) relayed(ids []string, service string) {
	w.t.Helper()
	w.until("all are in the stream", func() bool { return w.all(ids, service, func(t *job.Task) bool { return t.Message > 0 }) })
}

// once checks that a service has done each job once.
func (w *world) once(ids []string, service string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if n := w.runs[event.Key(id, service)]; n != 1 {
			w.t.Errorf("%s has done %s %d times, want once", service, id, n)
		}
	}
}

// whole waits until nothing is closed, held or owed.
func (w *world) whole() {
	w.t.Helper()
	w.until("all is well", func() bool {
		for _, name := range stream.WorkStreams() {
			if open, _ := w.keeper.Passed(name); !open {
				return false
			}
		}
		return w.keeper.Restored() == nil
	})
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := w.js.DeleteStream(w.t.Context(), name); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) setHold(held bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if held {
		w.hold = make(chan struct{})
	} else {
		close(w.hold)
	}
}

func (w *world) forgetFile() {
	w.t.Helper()
	if err := os.Remove(w.path); err != nil {
		w.t.Fatal(err)
	}
}
