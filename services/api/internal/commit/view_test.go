package commit_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
	"handoff/shared/event"
)

// Whoever was given a job reads it while others change it: run with the race detector.
func TestEditChangesNothingThatWasHandedOut(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := committer(t, s)
	run(t, c)
	if err := c.Do(adding("j")); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for i := range 200 {
		var was *job.Job
		err := c.Do(func(v *commit.View) error {
			var err error
			if was, err = v.Job("j"); err != nil {
				return err
			}
			j, err := v.Edit("j")
			if err != nil {
				return err
			}
			j.Tasks[0].Message++
			j.Tasks[0].Attempt = i + 1
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			if got := was.Tasks[0]; got.Attempt != i || got.Message != uint64(i) {
				t.Errorf("handed out as attempt %d, says now %+v", i, got)
			}
		})
	}
	readers.Wait()
	j, err := s.Job("j")
	if err != nil || j.Tasks[0].Message != 200 {
		t.Errorf("at the end: %+v, %v", j, err)
	}
}

func TestARolledBackEditIsForgotten(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := committer(t, s)
	run(t, c)
	if err := c.Do(adding("j")); err != nil {
		t.Fatal(err)
	}
	s.before = func(*commit.Changes) error { return commit.ErrNoSpace }
	end := func(v *commit.View) error {
		j, err := v.Edit("j")
		if err == nil {
			j.Tasks[0].State = event.Succeeded
		}
		return err
	}
	if err := c.Do(end); !errors.Is(err, commit.ErrNoSpace) {
		t.Fatal(err)
	}
	s.before = nil
	err := c.Do(func(v *commit.View) error {
		j, err := v.Job("j")
		if err == nil && j.State().Ended() {
			t.Error("says what was never written")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAViewShowsItsOwnChanges(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := committer(t, s)
	run(t, c)
	seen := job.Seen{Record: &event.Record{State: event.Running, Claim: 1}, Revision: 3, At: time.Unix(5, 0).UTC()}
	look := func(v *commit.View) error {
		j, err := v.Job("j")
		if err != nil {
			return err
		}
		a, err := v.Accepted(j)
		if err != nil || string(a.Data) != "j" || a.Job != "j" || a.Subject != "task.requested" {
			return fmt.Errorf("the accept is %+v, %w", a, err)
		}
		u, err := v.UserByKey(j.Key)
		if err != nil || u.ID != "u" {
			return fmt.Errorf("the user is %+v, %w", u, err)
		}
		if _, err := v.Job("none"); !errors.Is(err, job.ErrNotFound) {
			return fmt.Errorf("a job that is not there: %w", err)
		}
		if _, err := v.Edit("none"); !errors.Is(err, job.ErrNotFound) {
			return fmt.Errorf("edit a job that is not there: %w", err)
		}
		if _, err := v.UserByKey(1); !errors.Is(err, user.ErrNotFound) {
			return fmt.Errorf("a user who is not there: %w", err)
		}
		return nil
	}
	err := c.Do(func(v *commit.View) error {
		j := add(v, "j")
		v.AddUser(user.User{ID: "u", Key: j.Key})
		v.AddOrphan(commit.Orphan{Job: "later", Service: "tasker", Seen: seen})
		if found, err := v.Adopt("later"); err != nil || len(found) != 1 || found[0].Seen.Revision != 3 {
			return fmt.Errorf("adopt in the same transaction: %+v, %w", found, err)
		}
		return look(v)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Do(look); err != nil {
		t.Fatalf("once it is written: %v", err)
	}
	if left, err := s.OrphansOf("later"); err != nil || len(left) != 0 {
		t.Errorf("adopted, but still there: %+v, %v", left, err)
	}
}

func TestAnOrphanNeverGoesBackwards(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := committer(t, s)
	run(t, c)
	orphan := func(state job.State, revision uint64) commit.Orphan {
		return commit.Orphan{Job: "j", Service: "tasker", Seen: job.Seen{
			Record: &event.Record{State: state, Claim: 1}, Revision: revision, At: time.Unix(int64(revision), 0).UTC(),
		}}
	}
	keep := func(o ...commit.Orphan) {
		t.Helper()
		err := c.Do(func(v *commit.View) error {
			for i := range o {
				v.AddOrphan(o[i])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	keep(orphan(event.Running, 1))
	keep(orphan(event.Succeeded, 3), orphan(event.Running, 2))
	keep(orphan(event.Retrying, 4))
	found, err := s.OrphansOf("j")
	if err != nil || len(found) != 1 || found[0].Seen.Record.State != event.Succeeded {
		t.Errorf("kept %+v (%v), want the one that had ended", found, err)
	}
}
