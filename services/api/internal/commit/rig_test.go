package commit_test

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// faulty is a real store whose commits can be made to fail or to wait.
type faulty struct {
	*bolt.Store
	commits atomic.Int64
	before  func(*commit.Changes) error // nil: nothing
}

func (f *faulty) Commit(c *commit.Changes) error {
	if f.before != nil {
		if err := f.before(c); err != nil {
			return err
		}
	}
	f.commits.Add(1)
	return f.Store.Commit(c)
}

func open(t *testing.T) *faulty {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "api.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &faulty{Store: s}
}

func committer(t *testing.T, s *faulty, committed ...func(*commit.Changes)) *commit.Committer {
	t.Helper()
	last, err := s.LastKey()
	if err != nil {
		t.Fatal(err)
	}
	return commit.New(s, last, committed...)
}

// run runs c until stop is called, which gives what Run returned.
func run(t *testing.T, c *commit.Committer) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

func add(v *commit.View, id string) *job.Job {
	j := &job.Job{ID: id, Type: event.TaskRequested, Key: v.NextKey(), Stream: "TASKS", Tasks: []job.Task{{Service: "tasker", State: event.Queued}}}
	v.Accept(commit.Accept{Key: j.Key, Stream: "TASKS", Subject: "task.requested", Job: id, Data: []byte(id)}, j)
	return j
}

func adding(id string) func(*commit.View) error {
	return func(v *commit.View) error {
		add(v, id)
		return nil
	}
}
