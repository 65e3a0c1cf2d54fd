package cancel_test

import (
	"context"
	"encoding/json"
	"errors"
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
	"handoff/services/api/internal/cancel"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// gate is open unless it is shut.
type gate struct{ shut atomic.Bool }

func (g *gate) Passed(string) (bool, <-chan struct{}) { return !g.shut.Load(), nil }

// rig is a store with a teller, which can be ended and started again.
type rig struct {
	t      *testing.T
	nats   *natstest.Server
	js     jetstream.JetStream
	path   string
	gate   gate
	store  *bolt.Store
	writer *commit.Committer
	stop   func()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, nats: natstest.Run(t), path: filepath.Join(t.TempDir(), "api.db")}
	r.js = r.nats.JetStream()
	r.start()
	return r
}

func (r *rig) start() {
	r.t.Helper()
	var err error
	if r.store, err = bolt.Open(r.path); err != nil {
		r.t.Fatal(err)
	}
	last, err := r.store.LastKey()
	if err != nil {
		r.t.Fatal(err)
	}
	rows, err := backlog.Load(r.store, time.Now)
	if err != nil {
		r.t.Fatal(err)
	}
	nc := r.nats.Connect()
	js, err := jetstream.New(nc)
	if err != nil {
		r.t.Fatal(err)
	}
	var teller *cancel.Teller
	r.writer = commit.New(r.store, last, rows.Committed, func(c *commit.Changes) { teller.Committed(c) })
	teller = cancel.New(cancel.Options{
		NATS: nc, JetStream: js, Store: r.store, Writer: r.writer, Gate: &r.gate,
		Log: slog.New(slog.NewTextHandler(r.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, rows)
	working, stopWorking := context.WithCancel(context.Background())
	writing, stopWriting := context.WithCancel(context.Background())
	var tells, writes sync.WaitGroup
	tells.Go(func() { teller.Run(working) })
	writes.Go(func() {
		if err := r.writer.Run(writing); err != nil {
			r.t.Errorf("writer: %v", err)
		}
	})
	r.stop = sync.OnceFunc(func() {
		stopWorking()
		tells.Wait()
		stopWriting()
		writes.Wait()
		_ = r.store.Close()
	})
	r.t.Cleanup(r.stop)
}

func (r *rig) accept(id string) {
	r.t.Helper()
	env, err := event.New(id, time.Now(), event.UserCreatedData{UserID: "u", Email: "a@example.com", Username: "a"}, "mailer", "notifier")
	if err != nil {
		r.t.Fatal(err)
	}
	err = r.writer.Do(func(v *commit.View) error {
		key := v.NextKey()
		v.Accept(commit.Accept{Key: key, Stream: stream.Users, Subject: "user.created.notify", Job: id, Data: []byte("{}")},
			job.New(env, stream.Users, key, []string{"mailer", "notifier"}))
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) cancel(id string) error {
	return r.writer.Do(func(v *commit.View) error {
		_, err := accept.Cancel(v, id, time.Now())
		return err
	})
}

func (r *rig) put(service, id string, rec event.Record) {
	r.t.Helper()
	b, err := rec.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	kv, err := r.js.KeyValue(r.t.Context(), stream.Bucket(service))
	if err == nil {
		_, err = kv.Put(r.t.Context(), id, b)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// await waits until the record of a task is cancelled and the store knows that it is, and gives both.
func (r *rig) await(service, id string) (*event.Record, *job.Task) {
	r.t.Helper()
	var rec *event.Record
	var task *job.Task
	r.eventually(func() bool {
		kv, err := r.js.KeyValue(r.t.Context(), stream.Bucket(service))
		if err != nil {
			return false
		}
		e, err := kv.Get(r.t.Context(), id)
		if err != nil {
			return false
		}
		if rec, err = event.DecodeRecord(e.Value()); err != nil {
			return false
		}
		j, err := r.store.Job(id)
		if err != nil {
			r.t.Fatal(err)
		}
		task = j.Task(service)
		return rec.State == event.Cancelled && !task.Untold
	})
	return rec, task
}

func (r *rig) eventually(ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatal("not within 30 s")
		}
	}
}

func TestBucketsSayWhatIsCancelled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	word := make(chan *nats.Msg, 10)
	nc := r.nats.Connect()
	if _, err := nc.ChanSubscribe("cancel.mailer", word); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	r.accept("j")
	r.put("mailer", "j", event.Record{State: event.Running, Claim: 3, Attempt: 2, Holder: "somebody"})
	if err := r.cancel("j"); err != nil {
		t.Fatal(err)
	}
	rec, task := r.await("mailer", "j")
	if rec.Holder != "" || rec.Claim != 3 || rec.Attempt != 2 || rec.Ended == nil || rec.Error == "" || rec.Error != task.Error || task.Attempt != 2 {
		t.Errorf("the record is %+v, the task %+v", rec, task)
	}
	if rec, task := r.await("notifier", "j"); rec.Attempt != 0 || rec.Error != "" || task.State != event.Cancelled {
		t.Errorf("of what was not begun the record is %+v, the task %+v", rec, task)
	}
	select {
	case m := <-word:
		var c event.Cancel
		if err := json.Unmarshal(m.Data, &c); err != nil || c.Job != "j" {
			t.Errorf("the word is %s: %v", m.Data, err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the mailer hears nothing")
	}
	if err := r.cancel("j"); !errors.Is(err, job.ErrEnded) {
		t.Errorf("cancelled twice: %v", err)
	}
	if err := r.cancel("none"); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("of an unknown job: %v", err)
	}
}

// A wish outlives the process, a bucket that is not there, and a NATS that may not be written to.
func TestAWishIsKeptUntilItIsInTheBucket(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.gate.shut.Store(true)
	r.accept("j")
	r.accept("behind")
	if err := errors.Join(r.cancel("j"), r.cancel("behind")); err != nil {
		t.Fatal(err)
	}
	r.stop()
	if err := r.js.DeleteKeyValue(t.Context(), stream.Bucket("mailer")); err != nil {
		t.Fatal(err)
	}
	r.start()
	kv, err := r.js.KeyValue(t.Context(), stream.Bucket("notifier"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Get(t.Context(), "j"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("written through a gate that is shut: %v", err)
	}
	r.gate.shut.Store(false)
	r.await("notifier", "j") // whose bucket is there
	r.await("notifier", "behind")
	r.nats.Ensure()
	r.await("mailer", "j")
	r.await("mailer", "behind")
}

// A holder that touches its record all the time is overruled all the same.
func TestAnEagerHolderIsOverruled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	kv, err := r.js.KeyValue(t.Context(), stream.Bucket("mailer"))
	if err != nil {
		t.Fatal(err)
	}
	r.accept("j")
	touch, err := (&event.Record{State: event.Running, Claim: 1, Attempt: 1, Holder: "h"}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	revision, err := kv.Create(t.Context(), "j", touch)
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			revision, err = kv.Update(context.WithoutCancel(t.Context()), "j", touch, revision)
		}
		refused <- err
	}()
	if err := r.cancel("j"); err != nil {
		t.Fatal(err)
	}
	r.await("mailer", "j")
	if err := <-refused; !errors.Is(err, jetstream.ErrKeyExists) {
		t.Errorf("its last touch ends with %v", err)
	}
}
