package commit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"handoff/services/api/internal/commit"
)

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

func TestAHarmlessFailureFailsTheBatchAndNoMore(t *testing.T) {
	t.Parallel()
	for _, why := range []error{commit.ErrNoSpace, commit.ErrNotWritten} {
		t.Run(why.Error(), func(t *testing.T) {
			t.Parallel()
			failsTheBatchAndNoMore(t, why)
		})
	}
}

func failsTheBatchAndNoMore(t *testing.T, why error) {
	t.Helper()
	s := open(t)
	full := true
	s.before = func(*commit.Changes) error {
		if full {
			return fmt.Errorf("%w: on this disk", why)
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
	if err := c.Do(take); !errors.Is(err, why) {
		t.Fatalf("on that disk: %v", err)
	}
	if taken["j"] || told != 0 {
		t.Fatalf("not rolled back: taken %v, told %d times", taken, told)
	}
	// Do has returned, so the writer waits and full is ours to change.
	full = false
	if err := c.Do(take); err != nil {
		t.Fatalf("when it passes again: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatalf("it ended the writer: %v", err)
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
