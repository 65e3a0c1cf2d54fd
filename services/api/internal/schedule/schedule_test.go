package schedule_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/schedule"
	"handoff/shared/stream"
)

type gate struct{ shut atomic.Bool }

func (g *gate) Passed(string) (bool, <-chan struct{}) { return !g.shut.Load(), nil }

// run runs a schedule over the store at path until stop.
func run(t *testing.T, path string, g *gate) (store *bolt.Store, w *commit.Committer, s *schedule.Schedule, stop func()) {
	t.Helper()
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	last, err := store.LastKey()
	if err != nil {
		t.Fatal(err)
	}
	s = schedule.New(func(string) int64 { return 4000 }, time.Now)
	if err := s.Watch(store).EachInWindow(func(*job.Job) {}); err != nil {
		t.Fatal(err)
	}
	w = commit.New(store, last, s.Committed)
	working, stopWorking := context.WithCancel(context.Background())
	writing, stopWriting := context.WithCancel(context.Background())
	var works, writes sync.WaitGroup
	works.Go(func() {
		s.Run(working, schedule.Parts{
			Writer: w, Gate: g, Allowed: func() bool { return true }, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		})
	})
	writes.Go(func() { _ = w.Run(writing) })
	stop = sync.OnceFunc(func() {
		stopWorking()
		works.Wait()
		stopWriting()
		writes.Wait()
		_ = store.Close()
	})
	t.Cleanup(stop)
	return store, w, s, stop
}

func accept(t *testing.T, w *commit.Committer, n int, due time.Time) {
	t.Helper()
	err := w.Do(func(v *commit.View) error {
		for range n {
			key := v.NextKey()
			j := scheduled(key, stream.Tasks, due)
			j.ID, j.Size = fmt.Sprint("j", key), 1
			v.Accept(commit.Accept{Key: key, Stream: stream.Tasks, Subject: "later.task.requested", Job: j.ID, Data: []byte("{}")}, j)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func awaitEntries(t *testing.T, store *bolt.Store, want int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		found, err := store.Entries(stream.Tasks)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("there are %d entries, want %d", len(found), want)
		}
	}
}

// More than fits into one transaction is begun, once each, and what is not due is not, over a restart.
func TestWhatIsDueIsBegunOnce(t *testing.T) {
	t.Parallel()
	path, g := filepath.Join(t.TempDir(), "api.db"), &gate{}
	store, w, _, stop := run(t, path, g)
	accept(t, w, 1200, time.Now().Add(300*time.Millisecond))
	accept(t, w, 1, time.Now().Add(time.Hour))
	awaitEntries(t, store, 1200)
	g.shut.Store(true)
	accept(t, w, 3, time.Now())
	stop()
	store, _, _, _ = run(t, path, g)
	awaitEntries(t, store, 1200)
	g.shut.Store(false)
	awaitEntries(t, store, 1203)
}

func TestAQuarterOfTheStreamMayWait(t *testing.T) {
	t.Parallel()
	_, w, s, _ := run(t, filepath.Join(t.TempDir(), "api.db"), &gate{})
	accept(t, w, 999, time.Now().Add(time.Hour))
	if why := s.Full(stream.Tasks); why != "" {
		t.Errorf("full before its time: %s", why)
	}
	accept(t, w, 1, time.Now().Add(time.Hour))
	if s.Full(stream.Tasks) == "" || s.Full(stream.Users) != "" {
		t.Error("not full, or all are")
	}
}
