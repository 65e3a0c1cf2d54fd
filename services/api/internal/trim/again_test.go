package trim_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// effects counts what is done, by service and job.
type effects struct {
	mu sync.Mutex
	n  map[string]int
}

func (e *effects) add(service, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n[service+" "+id]++
}

func (e *effects) of(service, id string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n[service+" "+id]
}

// serve runs a worker for users.
func (r *rig) serve(service string, handler func(id string) error) {
	r.t.Helper()
	w := worker.New(r.server.Connect(), worker.Config{Service: service, Logger: r.log})
	worker.Handle(w, worker.Spec{Task: "demo", Concurrency: 64, Attempts: 1 << 20}, func(_ context.Context, e event.Event[event.UserCreatedData]) (struct{}, error) {
		return struct{}{}, handler(e.ID)
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			r.t.Errorf("%s: %v", service, err)
		}
	})
	r.t.Cleanup(func() { cancel(); running.Wait() })
}

// register accepts and publishes jobs of users, as accept and relay do.
func (r *rig) register(services []string, ids ...string) {
	r.t.Helper()
	subject := stream.Subject(event.UserCreated, services)
	events, last := map[string][]byte{}, uint64(0)
	r.do(func(v *commit.View) {
		for _, id := range ids {
			user := event.UserCreatedData{UserID: id, Email: id + "@example.org", Username: strings.Repeat("a", 4<<10)}
			env, err := event.New(id, time.Now(), user, services...)
			if err != nil {
				r.t.Fatal(err)
			}
			if events[id], err = env.Encode(); err != nil {
				r.t.Fatal(err)
			}
			j := job.New(env, stream.Users, v.NextKey(), services)
			v.Accept(commit.Accept{Key: j.Key, Stream: stream.Users, Subject: subject, Job: id, Data: events[id]}, j)
			last = j.Key
		}
	})
	for _, id := range ids {
		if _, err := r.js.Publish(r.t.Context(), subject, events[id], jetstream.WithMsgID(id)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.do(func(v *commit.View) { v.SetPosition(stream.Users, last) })
}

// A job of which one half is done and the other fails on and on is asked for again each time that it holds its stream, and what is
// done stays done, though its message and its record have moved on five times.
func TestWhatIsAskedForAgainIsDoneOnceByWhoHasDoneIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, quick(), tiny)
	done := &effects{n: map[string]int{}}
	r.serve("mailer", func(id string) error {
		done.add("mailer", id)
		return nil
	})
	r.serve("notifier", func(id string) error {
		done.add("notifier", id)
		return worker.RetryAfter(100*time.Millisecond, errors.New("not today"))
	})
	r.register([]string{"mailer", "notifier"}, "both")
	r.until("one half is done", func() bool {
		j, err := r.store.Job("both")
		return err == nil && j.Tasks[0].State == event.Succeeded && j.Tasks[1].State == event.Retrying
	})
	const times = 5
	for n, users := 0, 0; n < times; n++ {
		r.until("it holds a stream that is over half", func() bool {
			entries, err := r.store.Entries(stream.Users)
			if err != nil || len(entries) > 0 {
				return err == nil
			}
			more := make([]string, 50)
			for i := range more {
				users++
				more[i] = fmt.Sprint("user-", users)
			}
			r.register([]string{"mailer"}, more...)
			return false
		})
		before := r.info(stream.Users).FirstSeq
		r.relayTo(stream.Users)
		r.until("what it held has gone", func() bool { return r.info(stream.Users).FirstSeq > before })
	}
	tried := done.of("notifier", "both")
	r.until("it is tried on", func() bool { return done.of("notifier", "both") > tried })
	r.until("all others are done", func() bool { return r.info(stream.Users).Msgs == 1 })
	for key, n := range done.n {
		if !strings.HasPrefix(key, "notifier") && n != 1 {
			t.Errorf("%s: done %d times", key, n)
		}
	}
}
