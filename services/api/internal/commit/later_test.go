package commit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"handoff/services/api/internal/commit"
)

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
