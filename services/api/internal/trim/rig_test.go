package trim_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/projection"
	"handoff/services/api/internal/reconcile"
	"handoff/services/api/internal/reissue"
	"handoff/services/api/internal/trim"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// rig is an api's way back and its trimmer, over a real store and a real server. The test itself is the way in.
type rig struct {
	t      *testing.T
	js     jetstream.JetStream
	server *natstest.Server
	store  *bolt.Store
	writer *commit.Committer
	log    *slog.Logger

	trimmer *trim.Trimmer
	refused atomic.Bool // entries, by every stream

	mu   sync.Mutex
	done map[string]int // by job: how often a handler has done it
}

func newRig(t *testing.T, l trim.Limits, size int64) *rig {
	t.Helper()
	r := &rig{t: t, server: natstest.Start(t), log: slog.New(slog.NewTextHandler(t.Output(), nil)), done: map[string]int{}}
	nc := r.server.Connect()
	var err error
	if r.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	if r.store, err = bolt.Open(filepath.Join(t.TempDir(), "api.db")); err != nil {
		t.Fatal(err)
	}
	last, err := r.store.LastKey()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := backlog.Load(r.store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	r.writer = commit.New(r.store, last, rows.Committed)
	keeper := reconcile.New(nc, r.js, stream.Config{MaxStore: size}, r.log)
	back := projection.New(r.store, r.writer, keeper, accept.NewEmails(), r.js, r.log)
	r.trimmer = trim.New(trim.Parts{
		Store: r.store, Writer: r.writer, Backlog: rows, Open: func() bool { return keeper.Err() == nil }, Reading: back, JetStream: r.js,
		Log: r.log, Now: time.Now, Reissue: reissue.Task, Refused: func(string) bool { return r.refused.Load() },
	}, l)
	writing, stopWriter := context.WithCancel(context.Background())
	working, stop := context.WithCancel(context.Background())
	var wrote, worked sync.WaitGroup
	wrote.Go(func() {
		if err := r.writer.Run(writing); err != nil {
			t.Errorf("committer: %v", err)
		}
	})
	for _, run := range []func(context.Context){keeper.Run, back.Run, r.trimmer.Run} {
		worked.Go(func() { run(working) })
	}
	t.Cleanup(func() {
		stop()
		worked.Wait()
		stopWriter()
		wrote.Wait()
		_ = r.store.Close()
	})
	r.until("streams are there", func() bool { return keeper.Err() == nil })
	return r
}

// work runs a tasker, whose handler is told how often a job was done before.
func (r *rig) work(spec worker.Spec, handler func(id string, before int) error) {
	r.t.Helper()
	w := worker.New(r.server.Connect(), worker.Config{Service: "tasker", Logger: r.log})
	spec.Task = "demo"
	worker.Handle(w, spec, func(_ context.Context, e event.Event[event.TaskRequestedData]) (map[string]int, error) {
		r.mu.Lock()
		before := r.done[e.ID]
		r.done[e.ID]++
		r.mu.Unlock()
		return nil, handler(e.ID, before)
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			r.t.Errorf("worker: %v", err)
		}
	})
	r.t.Cleanup(func() { cancel(); running.Wait() })
}

// times gives how often a job was done.
func (r *rig) times(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done[id]
}

// accept accepts and publishes n jobs for the tasker, as accept and relay do.
func (r *rig) accept(prefix string, n int) {
	r.t.Helper()
	var jobs []*job.Job
	var events [][]byte
	r.do(func(v *commit.View) {
		for i := range n {
			env, err := event.New(fmt.Sprintf("%s-%d", prefix, i), time.Now(), event.TaskRequestedData{DurationMS: 1}, "tasker")
			if err != nil {
				r.t.Fatal(err)
			}
			data, err := env.Encode()
			if err != nil {
				r.t.Fatal(err)
			}
			j := job.New(env, stream.Tasks, v.NextKey(), []string{"tasker"})
			v.Accept(commit.Accept{Key: j.Key, Stream: stream.Tasks, Subject: "task.requested", Job: j.ID, Data: data}, j)
			jobs, events = append(jobs, j), append(events, data)
		}
	})
	var acks []jetstream.PubAckFuture
	for i, j := range jobs {
		ack, err := r.js.PublishAsync("task.requested", events[i], jetstream.WithMsgID(j.ID))
		if err != nil {
			r.t.Fatal(err)
		}
		acks = append(acks, ack)
	}
	seqs := make([]uint64, n)
	for i, ack := range acks {
		select {
		case a := <-ack.Ok():
			seqs[i] = a.Sequence
		case err := <-ack.Err():
			r.t.Fatal(err)
		}
	}
	r.do(func(v *commit.View) {
		for i, old := range jobs {
			v.SetPosition(stream.Tasks, old.Key)
			if j, err := v.Edit(old.ID); err == nil {
				j.Tasks[0].Message = max(j.Tasks[0].Message, seqs[i])
			}
		}
	})
}

func (r *rig) do(f func(*commit.View)) {
	r.t.Helper()
	err := r.writer.Do(func(v *commit.View) error {
		f(v)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) info(name string) jetstream.StreamState {
	r.t.Helper()
	s, err := r.js.Stream(r.t.Context(), name)
	if err != nil {
		r.t.Fatal(err)
	}
	return s.CachedInfo().State
}

func (r *rig) bucket() jetstream.StreamState {
	r.t.Helper()
	return r.info(stream.BucketStream(stream.Bucket("tasker")))
}

// record tells whether the tasker's bucket has a key.
func (r *rig) record(key string) bool {
	r.t.Helper()
	kv, err := r.js.KeyValue(r.t.Context(), stream.Bucket("tasker"))
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = kv.Get(r.t.Context(), key)
	return err == nil
}

func (r *rig) jobs() int64 {
	r.t.Helper()
	size, err := r.store.Size()
	if err != nil {
		r.t.Fatal(err)
	}
	return size.Jobs
}

func (r *rig) state(id string) event.State {
	j, err := r.store.Job(id)
	if err != nil {
		return ""
	}
	return j.State()
}

func (r *rig) until(what string, f func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !f(); {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited too long: %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// relay publishes the entries of TASKS that wait, as the relay does.
func (r *rig) relay() { r.t.Helper(); r.relayTo(stream.Tasks) }

func (r *rig) relayTo(name string) {
	r.t.Helper()
	entries, err := r.store.Entries(name)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		j, err := r.store.Job(e.Job)
		if err != nil {
			r.t.Fatal(err)
		}
		a, err := r.store.Accepted(name, j.Key)
		if err != nil {
			r.t.Fatal(err)
		}
		m := nats.NewMsg(e.Subject)
		m.Data = a.Data
		m.Header.Set(jetstream.MsgIDHeader, e.MsgID)
		for k, v := range e.Header {
			m.Header.Set(k, v)
		}
		if _, err := r.js.PublishMsg(r.t.Context(), m); err != nil {
			r.t.Fatal(err)
		}
		r.do(func(v *commit.View) { v.LeaveEntry(e.Key) })
	}
}
