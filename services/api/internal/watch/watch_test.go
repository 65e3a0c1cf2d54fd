package watch_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/watch"
	"handoff/shared/event"
)

// store is the committed state of jobs.
type store struct {
	mu   sync.Mutex
	jobs map[string]*job.Job
}

func (s *store) Job(id string) (*job.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs[id]; j != nil {
		return j, nil
	}
	return nil, job.ErrNotFound
}

// commit does what the committer does: first the store, then whoever is told.
func (s *store) commit(w *watch.Watch, jobs ...*job.Job) {
	c := &commit.Changes{Jobs: map[string]*job.Job{}}
	s.mu.Lock()
	for _, j := range jobs {
		s.jobs[j.ID], c.Jobs[j.ID] = j, j
	}
	s.mu.Unlock()
	w.Committed(c)
}

func is(id string, state job.State) *job.Job {
	return &job.Job{ID: id, Tasks: []job.Task{{Service: "mailer", State: state}}}
}

func TestWaitEndsWithTheJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{jobs: map[string]*job.Job{}}
		w := watch.New(s)
		s.commit(w, is("a", event.Queued), is("b", event.Queued))
		got := make(chan *job.Job, 2)
		for range 2 {
			go func() {
				j, err := w.Wait(t.Context(), "a")
				if err != nil {
					t.Error(err)
				}
				got <- j
			}()
		}
		synctest.Wait()
		s.commit(w, is("b", event.Dead))
		s.commit(w, is("a", event.Running))
		synctest.Wait()
		if len(got) != 0 {
			t.Error("ended before its job did")
		}
		s.commit(w, is("a", event.Succeeded))
		for range 2 {
			if j := <-got; j.State() != event.Succeeded {
				t.Errorf("got a job that is %s", j.State())
			}
		}
	})
}

func TestWaitForWhatHasEndedOrIsNotThere(t *testing.T) {
	t.Parallel()
	s := &store{jobs: map[string]*job.Job{}}
	w := watch.New(s)
	s.commit(w, is("a", event.Dead))
	if j, err := w.Wait(t.Context(), "a"); err != nil || j.State() != event.Dead {
		t.Errorf("got %+v, %v", j, err)
	}
	if _, err := w.Wait(t.Context(), "b"); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestWaitGivesTheStateWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{jobs: map[string]*job.Job{}}
		w := watch.New(s)
		s.commit(w, is("a", event.Queued))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() {
			time.Sleep(5 * time.Second)
			s.commit(w, is("a", event.Running))
		}()
		begun := time.Now()
		j, err := w.Wait(ctx, "a")
		if err != nil || j.State() != event.Running || time.Since(begun) != 10*time.Second {
			t.Errorf("after %v: %+v, %v, want it running after 10 s", time.Since(begun), j, err)
		}
		if j, err := w.Wait(ctx, "a"); err != nil || j.State() != event.Running {
			t.Errorf("with no time at all: %+v, %v", j, err)
		}
	})
}

// The job may end at any moment between the look at the store and the wait.
func TestNoWakeUpIsLost(t *testing.T) {
	t.Parallel()
	s := &store{jobs: map[string]*job.Job{}}
	w := watch.New(s)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := range 500 {
		id := fmt.Sprint("j", i)
		s.commit(w, is(id, event.Queued))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if j, err := w.Wait(ctx, id); err != nil || !j.State().Ended() {
					t.Errorf("%s: %+v, %v", id, j, err)
				}
			})
		}
		all.Go(func() {
			s.commit(w, is(id, event.Running))
			s.commit(w, is(id, event.Succeeded))
		})
		all.Wait()
	}
}

func TestNobodyIsKeptWhoHasLeft(t *testing.T) {
	t.Parallel()
	s := &store{jobs: map[string]*job.Job{}}
	w := watch.New(s)
	s.commit(w, is("a", event.Queued))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		if _, err := w.Wait(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Wait(ctx, "none"); !errors.Is(err, job.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if n := w.Waiting(); n != 0 {
		t.Errorf("%d jobs are still waited for", n)
	}
}
