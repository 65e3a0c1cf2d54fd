package commit_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

func TestManyShareATransaction(t *testing.T) {
	t.Parallel()
	const n = 300
	s := open(t)
	hold, first := make(chan struct{}), make(chan struct{})
	begun := sync.OnceFunc(func() { close(first) })
	s.before = func(*commit.Changes) error {
		begun()
		<-hold
		return nil
	}
	var told []int
	c := committer(t, s, func(ch *commit.Changes) { told = append(told, len(ch.Accepts)) })
	stop := run(t, c)
	var wg sync.WaitGroup
	do := func(id string) {
		wg.Go(func() {
			if err := c.Do(adding(id)); err != nil {
				t.Errorf("add %s: %v", id, err)
			}
		})
	}
	do("first")
	<-first
	for i := range n {
		do(fmt.Sprint("j", i))
	}
	close(hold)
	wg.Wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := s.commits.Load(); got > n/2 {
		t.Errorf("%d accepts took %d transactions", n+1, got)
	}
	sum := 0
	for _, k := range told {
		sum += k
	}
	if sum != n+1 || len(told) != int(s.commits.Load()) {
		t.Errorf("told of %d accepts in %d calls, want %d in %d", sum, len(told), n+1, s.commits.Load())
	}
	rows, err := s.Log("TASKS", 0, n+2)
	if err != nil || len(rows) != n+1 {
		t.Fatalf("the log holds %d rows (%v), want %d", len(rows), err, n+1)
	}
	for i := 1; i < len(rows); i++ {
		if rows[i].Key != rows[i-1].Key+1 {
			t.Fatalf("key %d follows key %d", rows[i].Key, rows[i-1].Key)
		}
	}
	last, err := s.LastKey()
	if err != nil || last != rows[n].Key {
		t.Errorf("the last key is %d (%v), want %d", last, err, rows[n].Key)
	}
}

func TestAnErrorIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	s := open(t)
	hold, first := make(chan struct{}), make(chan struct{})
	begun := sync.OnceFunc(func() { close(first) })
	s.before = func(*commit.Changes) error {
		begun()
		<-hold
		return nil
	}
	c := committer(t, s)
	run(t, c)
	refused := errors.New("no")
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.Do(adding("first")) })
	<-first
	for i := range 20 {
		wg.Go(func() {
			err := c.Do(func(v *commit.View) error {
				if i%2 == 1 {
					return refused
				}
				add(v, fmt.Sprint("j", i))
				return nil
			})
			if want := i%2 == 1; errors.Is(err, refused) != want || err != nil && !want {
				t.Errorf("function %d: %v", i, err)
			}
		})
	}
	close(hold)
	wg.Wait()
	for i := range 20 {
		_, err := s.Job(fmt.Sprint("j", i))
		if (err == nil) != (i%2 == 0) {
			t.Errorf("job %d: %v", i, err)
		}
	}
}

func TestNoSpaceFailsTheBatchAndNoMore(t *testing.T) {
	t.Parallel()
	s := open(t)
	full := true
	s.before = func(*commit.Changes) error {
		if full {
			return fmt.Errorf("%w: on a full disk", commit.ErrNoSpace)
		}
		return nil
	}
	told := 0
	c := committer(t, s, func(*commit.Changes) { told++ })
	stop := run(t, c)
	taken := map[string]bool{}
	take := func(v *commit.View) error {
		add(v, "j")
		taken["j"] = true
		v.OnRollback(func() { delete(taken, "j") })
		return nil
	}
	before, _ := s.LastKey()
	if err := c.Do(take); !errors.Is(err, commit.ErrNoSpace) {
		t.Fatalf("on a full disk: %v", err)
	}
	if taken["j"] || told != 0 {
		t.Fatalf("not rolled back: taken %v, told %d times", taken, told)
	}
	// Do has returned, so the writer waits and full is ours to change.
	full = false
	if err := c.Do(take); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatalf("a full disk ended the writer: %v", err)
	}
	if !taken["j"] || told != 1 {
		t.Errorf("taken %v, told %d times", taken, told)
	}
	if last, _ := s.LastKey(); last != before+1 {
		t.Errorf("the last key is %d, want %d: what was rolled back used none", last, before+1)
	}
}

func TestAnyOtherFailureIsTheEnd(t *testing.T) {
	t.Parallel()
	s := open(t)
	broken := errors.New("fsync: input/output error")
	s.before = func(*commit.Changes) error { return broken }
	c := committer(t, s)
	rolledBack := false
	ended := make(chan error, 1)
	go func() { ended <- c.Run(context.Background()) }()
	err := c.Do(func(v *commit.View) error {
		v.OnRollback(func() { rolledBack = true })
		add(v, "j")
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("the one who waited got %v", err)
	}
	if err := <-ended; !errors.Is(err, broken) {
		t.Errorf("Run returned %v", err)
	}
	if !rolledBack {
		t.Error("not rolled back")
	}
	if err := c.Do(adding("k")); !errors.Is(err, commit.ErrStopped) {
		t.Errorf("after the end: %v, want ErrStopped", err)
	}
}

// A panic ends the process or restarts the service; in either case nobody may wait for an answer that doesn't come.
func TestAPanicLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := committer(t, s)
	go func() {
		defer func() { _ = recover() }()
		_ = c.Run(context.Background())
	}()
	if err := c.Do(func(*commit.View) error { panic("a mistake") }); !errors.Is(err, commit.ErrStopped) {
		t.Errorf("got %v, want ErrStopped", err)
	}
	if err := c.Do(adding("k")); !errors.Is(err, commit.ErrStopped) {
		t.Errorf("afterwards: %v, want ErrStopped", err)
	}
}

func TestLaterRunsWithinASecond(t *testing.T) {
	t.Parallel()
	s := open(t)
	synctest.Test(t, func(t *testing.T) {
		c := committer(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		for range 3 { // again and again, not only the first time
			begun, ran := time.Now(), make(chan time.Time, 2)
			c.Later(func(v *commit.View) { v.SetPosition("TASKS", 1); ran <- time.Now() })
			synctest.Wait()
			if len(ran) != 0 {
				t.Error("did not wait for anything to ride with")
			}
			c.Later(func(*commit.View) { ran <- time.Now() })
			for range 2 {
				if took := (<-ran).Sub(begun); took > time.Second {
					t.Errorf("ran after %v", took)
				}
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if got := s.commits.Load(); got != 3 {
		t.Errorf("%d transactions, want 3: functions that wait share one", got)
	}
}

func TestLaterRidesWithTheNext(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := committer(t, s)
	run(t, c)
	ran := false
	c.Later(func(v *commit.View) { v.SetPosition("TASKS", 5); ran = true })
	if err := c.Do(adding("j")); err != nil {
		t.Fatal(err)
	}
	if position, _ := s.Position("TASKS"); !ran || position != 5 || s.commits.Load() != 1 {
		t.Errorf("ran %t, position %d after %d transactions, want it in the one", ran, position, s.commits.Load())
	}
}

func TestLaterIsKeptInOrderWhileThereIsNoSpace(t *testing.T) {
	t.Parallel()
	s := open(t)
	var c *commit.Committer
	full := true
	s.before = func(*commit.Changes) error {
		if !full {
			return nil
		}
		c.Later(func(v *commit.View) { v.SetPosition("TASKS", 2) }) // comes while the first is being written
		return commit.ErrNoSpace
	}
	c = committer(t, s)
	run(t, c)
	c.Later(func(v *commit.View) { v.SetPosition("TASKS", 1) })
	if err := c.Do(adding("j")); !errors.Is(err, commit.ErrNoSpace) {
		t.Fatal(err)
	}
	full = false
	if err := c.Do(adding("j")); err != nil {
		t.Fatal(err)
	}
	if position, _ := s.Position("TASKS"); position != 2 {
		t.Errorf("the position is %d, want 2: the earlier note was written over the later one", position)
	}
}

func TestTheLastWriteTakesWhatWaits(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := committer(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Later(func(v *commit.View) { v.SetPosition("TASKS", 9) })
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if position, _ := s.Position("TASKS"); position != 9 {
		t.Errorf("the position is %d, want 9", position)
	}
}

func TestNobodyHangsAtTheStop(t *testing.T) {
	t.Parallel()
	for range 20 {
		s := open(t)
		c := committer(t, s)
		stop := run(t, c)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var kept []string
		for i := range 16 {
			wg.Go(func() {
				for n := 0; ; n++ {
					id := fmt.Sprintf("j%d-%d", i, n)
					err := c.Do(adding(id))
					if errors.Is(err, commit.ErrStopped) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					kept = append(kept, id)
					mu.Unlock()
					c.Later(func(v *commit.View) { v.SetPosition("TASKS", 1) })
				}
			})
		}
		for s.commits.Load() == 0 {
			time.Sleep(100 * time.Microsecond)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		for _, id := range kept {
			if _, err := s.Job(id); err != nil {
				t.Fatalf("%s was confirmed: %v", id, err)
			}
		}
		_ = s.Close()
	}
}

func TestNothingIsWrittenForNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	told := 0
	c := committer(t, s, func(*commit.Changes) { told++ })
	run(t, c)
	if err := c.Do(func(*commit.View) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if s.commits.Load() != 0 || told != 0 {
		t.Errorf("%d transactions, told %d times, want none", s.commits.Load(), told)
	}
}

func TestHooksAreCalledInOrderBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	s := open(t)
	var calls []string
	hook := func(name string) func(*commit.Changes) {
		return func(*commit.Changes) { calls = append(calls, name) }
	}
	c := committer(t, s, hook("a"), hook("b"))
	run(t, c)
	if err := c.Do(adding("j")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(calls, []string{"a", "b"}) {
		t.Errorf("called %v before the answer", calls)
	}
}
