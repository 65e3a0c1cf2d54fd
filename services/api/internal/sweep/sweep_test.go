package sweep_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/projection"
	"handoff/services/api/internal/relay"
	"handoff/services/api/internal/sweep"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// openGate is always open.
type openGate struct{ never chan struct{} }

func (g openGate) Passed(string) (bool, <-chan struct{}) { return true, g.never }
func (g openGate) Lost(string, uint64)                   {}
func (g openGate) Check()                                {}

// shutGate lets nobody read.
type shutGate struct{ openGate }

func (g shutGate) Reads(string) (bool, <-chan struct{}) { return false, g.never }

// rig is an api whose projection reads nothing, with a sweeper that is in a hurry.
type rig struct {
	t      *testing.T
	nats   *natstest.Server
	js     jetstream.JetStream
	store  *bolt.Store
	writer *commit.Committer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, nats: natstest.Run(t)}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	var err error
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
	if r.js, err = jetstream.New(r.nats.Connect(), jetstream.WithPublishAsyncTimeout(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	gate := shutGate{openGate{make(chan struct{})}}
	var out *relay.Relay
	r.writer = commit.New(r.store, last, rows.Committed, func(c *commit.Changes) { out.Committed(c) })
	if out, err = relay.New(r.store, r.writer, gate, r.js, log); err != nil {
		t.Fatal(err)
	}
	s := sweep.New(sweep.Options{
		JetStream: r.js, Writer: r.writer, Backlog: rows, Gate: gate, Log: log, Every: 50 * time.Millisecond, Rest: time.Millisecond,
		Projection: projection.New(r.store, r.writer, gate, accept.NewEmails(), r.js, log),
	})
	working, stop := context.WithCancel(context.Background())
	writing, stopWriter := context.WithCancel(context.Background())
	var parts, writer sync.WaitGroup
	writer.Go(func() {
		if err := r.writer.Run(writing); err != nil {
			t.Errorf("writer: %v", err)
		}
	})
	parts.Go(func() { out.Run(working) })
	parts.Go(func() { s.Run(working) })
	t.Cleanup(func() {
		stop()
		parts.Wait()
		stopWriter()
		writer.Wait()
		_ = r.store.Close()
	})
	return r
}

func (r *rig) accept(id string) {
	r.t.Helper()
	env, err := event.New(id, time.Now(), event.TaskRequestedData{DurationMS: 1}, "tasker")
	if err != nil {
		r.t.Fatal(err)
	}
	data, err := env.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	err = r.writer.Do(func(v *commit.View) error {
		key := v.NextKey()
		v.Accept(commit.Accept{Key: key, Stream: stream.Tasks, Subject: "task.requested", Job: id, Data: data},
			job.New(env, stream.Tasks, key, []string{"tasker"}))
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// messages is how many have come to TASKS.
func (r *rig) messages() uint64 {
	r.t.Helper()
	s, err := r.js.Stream(r.t.Context(), stream.Tasks)
	if err != nil {
		r.t.Fatal(err)
	}
	return s.CachedInfo().State.LastSeq
}

// deliver takes the next message from the tasker's consumer, and says nothing to it.
func (r *rig) deliver() jetstream.Msg {
	r.t.Helper()
	c, err := r.js.Consumer(r.t.Context(), stream.Tasks, "tasker")
	if err != nil {
		r.t.Fatal(err)
	}
	m, err := c.Next(jetstream.FetchMaxWait(20 * time.Second))
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func (r *rig) record(id string, rec event.Record) {
	r.t.Helper()
	data, err := rec.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.js.Publish(r.t.Context(), stream.RecordSubject("tasker", id), data); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) until(what string, f func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); {
		if time.Now().After(deadline) {
			r.t.Fatal("waited too long: " + what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (r *rig) state(id string) event.State {
	r.t.Helper()
	j, err := r.store.Job(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return j.Tasks[0].State
}

func TestATaskThatNobodyDoesIsAskedForAgainAndThenWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept("lost")
	r.until("it is relayed", func() bool { return r.messages() == 1 })
	r.deliver()                                                  // to a process that is gone for good, with its message
	for r.deliver().Subject() != "retry.tasker.task.requested" { // it may be delivered again meanwhile
	}
	// From here on the service is stopped: the next one is delivered to nobody, and is the last.
	r.until("it is asked for once more", func() bool { return r.messages() == 3 })
	r.accept("barrier")
	r.until("the barrier is relayed", func() bool { return r.messages() >= 4 })
	s, err := r.js.Stream(t.Context(), stream.Tasks)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.GetMsg(t.Context(), 4); err != nil || m.Subject != "task.requested" {
		t.Errorf("a stopped service was asked again: %+v (%v)", m, err)
	}
}

func TestARecordThatWasNotReadIsTakenOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := time.Now().UTC()
	r.record("done", event.Record{State: event.Succeeded, Claim: 1, Attempt: 1, Ended: &at})
	r.accept("done")
	r.deliver()
	r.until("its end is known", func() bool { return r.state("done") == event.Succeeded })
	if n := r.messages(); n != 1 {
		t.Errorf("there are %d messages, want one", n)
	}
}

func TestWhatNobodyEverAskedForIsEnded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	err := r.writer.Do(func(v *commit.View) error {
		env, err := event.New("unasked", time.Now(), event.TaskRequestedData{DurationMS: 1}, "tasker")
		if err != nil {
			return err
		}
		j := job.New(env, stream.Tasks, v.NextKey(), []string{"tasker"})
		j.Tasks[0].Entry = 0
		v.Accept(commit.Accept{Key: j.Key, Stream: stream.Tasks, Subject: "task.requested", Job: j.ID, Data: []byte("{}"), Read: true}, j)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.until("it has ended", func() bool { return r.state("unasked") == event.Succeeded })
	if n := r.messages(); n != 0 {
		t.Errorf("there are %d messages, want none", n)
	}
}
