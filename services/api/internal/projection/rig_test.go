package projection_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/projection"
	"handoff/services/api/internal/reconcile"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// rig is a projection over a real store and a real server.
type rig struct {
	t      *testing.T
	server *natstest.Server
	store  *bolt.Store
	writer *commit.Committer
	emails *accept.Emails
	js     jetstream.JetStream
	log    *slog.Logger
	ids    int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, server: natstest.Run(t), emails: accept.NewEmails(), log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	r.js = r.server.JetStream()
	var err error
	if r.store, err = bolt.Open(filepath.Join(t.TempDir(), "api.db")); err != nil {
		t.Fatal(err)
	}
	key, err := r.store.LastKey()
	if err != nil {
		t.Fatal(err)
	}
	r.writer = commit.New(r.store, key)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.writer.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("committer: %v", err)
		}
		_ = r.store.Close()
	})
	return r
}

// start runs a projection with a reconciler of its own until stop is called, or the test ends.
func (r *rig) start() (p *projection.Projection, stop func()) {
	r.t.Helper()
	return r.startOver(r.writer)
}

// startOver is start with another writer.
func (r *rig) startOver(w projection.Writer) (p *projection.Projection, stop func()) {
	r.t.Helper()
	nc := r.server.Connect()
	js, err := jetstream.New(nc)
	if err != nil {
		r.t.Fatal(err)
	}
	keeper := reconcile.New(nc, js, stream.Config{MaxStore: natstest.MaxStore, History: true}, r.log)
	p = projection.New(r.store, w, keeper, r.emails, js, r.log)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { keeper.Run(ctx) })
	wg.Go(func() { p.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	r.t.Cleanup(stop)
	return p, stop
}

// caughtUp waits until p has read everything once.
func (r *rig) caughtUp(p *projection.Projection) {
	r.t.Helper()
	select {
	case <-p.CaughtUp():
	case <-time.After(20 * time.Second):
		r.t.Fatal("the projection does not catch up")
	}
}

// accept puts a job into the store, as the accept does, without publishing it.
func (r *rig) accept(id string, services ...string) *event.Envelope {
	r.t.Helper()
	env := r.userCreated(id, id+"@example.com", services...)
	data, err := env.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	err = r.writer.Do(func(v *commit.View) error {
		key := v.NextKey()
		v.Accept(commit.Accept{Key: key, Stream: stream.Users, Subject: stream.Subject(env.Type, services), Job: id, Data: data},
			job.New(env, stream.Users, key, services))
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return env
}

func (r *rig) userCreated(id, email string, services ...string) *event.Envelope {
	r.t.Helper()
	env, err := event.New(id, time.Now(), event.UserCreatedData{UserID: "user-" + id, Email: email, Username: "somebody"}, services...)
	if err != nil {
		r.t.Fatal(err)
	}
	return env
}

func (r *rig) publish(subject string, data []byte, header nats.Header) uint64 {
	r.t.Helper()
	m := nats.NewMsg(subject)
	m.Data = data
	if header != nil {
		m.Header = header
	}
	ack, err := r.js.PublishMsg(r.t.Context(), m)
	if err != nil {
		r.t.Fatalf("publish to %s: %v", subject, err)
	}
	return ack.Sequence
}

func (r *rig) publishEvent(subject string, env *event.Envelope) uint64 {
	r.t.Helper()
	data, err := env.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	return r.publish(subject, data, nil)
}

// record writes a task record without regard to what is there, and gives its revision.
func (r *rig) record(service, id string, rec event.Record) uint64 {
	r.t.Helper()
	data, err := rec.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	return r.publish(stream.RecordSubject(service, id), data, nil)
}

// until waits until the job is as f wants it.
func (r *rig) until(id string, f func(*job.Job) error) *job.Job {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		j, err := r.store.Job(id)
		if err == nil {
			if err = f(j); err == nil {
				return j
			}
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("job %s: %v", id, err)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-r.t.Context().Done():
		}
	}
}

func state(service string, want event.State) func(*job.Job) error {
	return func(j *job.Job) error {
		t := j.Task(service)
		if t == nil || t.State != want {
			return fmt.Errorf("task of %s is %+v, want it %s", service, t, want)
		}
		return nil
	}
}

func (r *rig) deadLetters() []commit.Entry {
	r.t.Helper()
	entries, err := r.store.Entries(stream.Dead)
	if err != nil {
		r.t.Fatal(err)
	}
	return entries
}
