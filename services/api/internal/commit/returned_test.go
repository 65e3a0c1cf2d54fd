package commit_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// edit changes the only task of the job that adding adds.
func edit(f func(*job.Task)) func(*commit.View) error {
	return func(v *commit.View) error {
		j, err := v.Edit("j")
		if err == nil {
			f(&j.Tasks[0])
		}
		return err
	}
}

func settle() func(*commit.View) error {
	return func(v *commit.View) error {
		j, err := v.Job("j")
		if err == nil {
			v.Settle(j.Key)
		}
		return err
	}
}

func all(fs ...func(*commit.View) error) func(*commit.View) error {
	return func(v *commit.View) error {
		for _, f := range fs {
			if err := f(v); err != nil {
				return err
			}
		}
		return nil
	}
}

// Whoever has a job begin again need not know whether it was off the window: it is on it again, and nothing that it had in NATS is
// believed any more.
func TestAJobThatBeginsAgainIsOnTheWindowAgain(t *testing.T) {
	t.Parallel()
	end := func(k *job.Task) {
		k.State, k.Message, k.Revision, k.Touched = event.Dead, 50, 60, time.Unix(1, 0)
	}
	begin := func(k *job.Task) { *k = job.Again(*k, k.Generation+1) }
	for name, c := range map[string]struct {
		do         []func(*commit.View) error // each in a transaction of its own
		on         bool
		message    uint64
		generation int
	}{
		"on the window all the time": {[]func(*commit.View) error{edit(end), edit(begin)}, true, 50, 1},
		"off the window":             {[]func(*commit.View) error{edit(end), settle(), edit(begin)}, true, 0, 1},
		"off the window, and stays":  {[]func(*commit.View) error{edit(end), settle(), edit(func(*job.Task) {})}, false, 0, 0},
		"settled and begun at once":  {[]func(*commit.View) error{edit(end), all(settle(), edit(begin))}, true, 50, 1},
		"begun, ended and settled": {
			[]func(*commit.View) error{edit(end), settle(), edit(begin), edit(end), settle()}, false, 50, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			live, err := backlog.Load(s, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			writer := committer(t, s, live.Committed)
			run(t, writer)
			for _, f := range append([]func(*commit.View) error{adding("j")}, c.do...) {
				if err := writer.Do(f); err != nil {
					t.Fatal(err)
				}
			}
			j, err := s.Job("j")
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := backlog.Load(s, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			on, err := s.OnWindow(j.Key)
			if err != nil || on != c.on || live.Len() != loaded.Len() || (live.Len() == 1) != c.on {
				t.Errorf("on the window: %t in the store, %d rows in memory, %d after a restart, want %t (%v)", on, live.Len(), loaded.Len(), c.on, err)
			}
			k := j.Tasks[0]
			if k.Message != c.message || k.Generation != c.generation || (c.message == 0) != (k.Revision == 0 && k.Touched.IsZero()) {
				t.Errorf("the task is %+v, want message %d", k, c.message)
			}
		})
	}
}

// What has just been pruned is gone for whoever comes after in the same transaction: what he asks for would go with it.
func TestAPrunedJobIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := committer(t, s)
	run(t, c)
	if err := c.Do(adding("j")); err != nil {
		t.Fatal(err)
	}
	err := c.Do(func(v *commit.View) error {
		j, err := v.Job("j")
		if err != nil {
			return err
		}
		v.Prune(j)
		_, err = v.Edit("j")
		return err
	})
	if !errors.Is(err, job.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if found, _ := s.OldJobs(0, 10); slices.ContainsFunc(found, func(j *job.Job) bool { return j.ID == "j" }) {
		t.Error("it is still there")
	}
}
