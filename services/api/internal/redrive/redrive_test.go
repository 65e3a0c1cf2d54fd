package redrive_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/redrive"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// full says for which streams no more is accepted.
type full map[string]string

func (f full) Full(name string) string { return f[name] }

type rig struct {
	*redrive.Redriver
	in    *accept.Accepter
	store *bolt.Store
	full  full

	largest int // number of entries of one transaction
}

// newRig has n jobs in a real store: every fourth is alive, the others are dead, each third of them of a timeout.
func newRig(t *testing.T, n int) *rig {
	t.Helper()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "api.db"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{store: store, full: full{}}
	writer := commit.New(store, 0, func(c *commit.Changes) { r.largest = max(r.largest, len(c.Entries)) })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- writer.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = store.Close()
	})
	at := time.Now()
	err = writer.Do(func(v *commit.View) error {
		for i := range n {
			name, service := stream.Tasks, "tasker"
			env, err := event.New(fmt.Sprint("job-", i), at, event.TaskRequestedData{DurationMS: 1}, service)
			if err != nil {
				return err
			}
			j := job.New(env, name, v.NextKey(), []string{service})
			if i%4 != 3 {
				j.Tasks[0].State, j.Tasks[0].Error, j.Tasks[0].Ended = event.Dead, []string{"timeout", "refused", "\"state\":\"dead\""}[i%3], &at
			} else {
				j.Tasks[0].Error = `"state":"dead"`
			}
			v.Accept(commit.Accept{Key: j.Key, Stream: name, Job: j.ID, Data: []byte("{}")}, j)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.in = accept.New(writer, r.full, accept.NewEmails(), accept.NewKeys(), time.Now)
	r.in.Open()
	r.Redriver = redrive.New(store, r.in)
	return r
}

func (r *rig) entries(t *testing.T) int {
	t.Helper()
	found, err := r.store.Entries(stream.Tasks)
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func TestManyAreRedrivenOnceEach(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2400) // 1800 dead, 600 of them of a timeout
	which := &job.Dead{Error: "timeout"}
	counts := func(what string, f func(context.Context, *job.Dead, int) (redrive.Counts, error), d *job.Dead, limit int, want redrive.Counts) {
		t.Helper()
		if got, err := f(t.Context(), d, limit); err != nil || got != want {
			t.Errorf("%s: %+v (%v), want %+v", what, got, err, want)
		}
	}
	counts("to be counted", r.Count, which, 100_000, redrive.Counts{Jobs: 600, Tasks: 600})
	counts("some to be counted", r.Count, which, 300, redrive.Counts{Jobs: 300, Tasks: 300, More: true})
	if n := r.entries(t); n != 0 {
		t.Errorf("counting has made %d entries", n)
	}
	counts("some", r.Redrive, which, 300, redrive.Counts{Jobs: 300, Tasks: 300, More: true})
	if j, err := r.store.Job("job-0"); err != nil || j.State() != event.Queued {
		t.Errorf("the oldest is %+v (%v), want it first", j, err)
	}
	counts("just as many as there are", r.Redrive, which, 300, redrive.Counts{Jobs: 300, Tasks: 300})
	counts("again", r.Redrive, which, 100_000, redrive.Counts{})
	counts("the others", r.Redrive, &job.Dead{}, 100_000, redrive.Counts{Jobs: 1200, Tasks: 1200})
	if n := r.entries(t); n != 1800 || r.largest > 50 {
		t.Errorf("%d entries, up to %d in a transaction; want one for each, and accepts between them", n, r.largest)
	}
}

func TestARedriveIsRefusedAsAnAcceptIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, 20)
	var unavailable *accept.UnavailableError
	r.full[stream.Tasks] = "too much waits"
	if c, err := r.Redrive(t.Context(), &job.Dead{}, 10); !errors.As(err, &unavailable) || c.Tasks != 0 {
		t.Errorf("while the domain is full: %+v, %v", c, err)
	}
	if c, err := r.Count(t.Context(), &job.Dead{}, 100); err != nil || c.Tasks != 15 {
		t.Errorf("counted while the domain is full: %+v, %v", c, err)
	}
	delete(r.full, stream.Tasks)
	r.in.Under(standsBy{})
	if _, err := r.Redrive(t.Context(), &job.Dead{}, 10); !errors.As(err, &unavailable) {
		t.Errorf("without the lease: %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Count(over, &job.Dead{}, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("for a client that has gone: %v", err)
	}
}

type standsBy struct{}

func (standsBy) Refusing() string { return "another api holds this store" }
