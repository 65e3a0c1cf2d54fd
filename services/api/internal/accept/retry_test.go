package accept_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// dead gives a job whose only task is dead.
func (r *rig) dead(t *testing.T) *job.Job {
	t.Helper()
	j, err := r.Request(t.Context(), accept.Key{}, event.TaskRequestedData{})
	if err != nil {
		t.Fatal(err)
	}
	r.die(t, j.ID)
	return j
}

func (r *rig) die(t *testing.T, id string) {
	t.Helper()
	err := r.writer.Do(func(v *commit.View) error {
		j, err := v.Edit(id)
		if err == nil {
			j.Tasks[0].State = event.Dead
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// asked is how often anything was asked for again.
func (r *rig) asked(t *testing.T) int {
	t.Helper()
	found, err := r.store.Entries(stream.Tasks)
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func TestOneOfManyClicksRetries(t *testing.T) {
	t.Parallel()
	r := opened(t)
	j := r.dead(t)
	var clicks sync.WaitGroup
	var done, refused atomic.Int64
	for range 50 {
		clicks.Go(func() {
			switch err := r.Retry(t.Context(), accept.Key{}, j.ID); {
			case err == nil:
				done.Add(1)
			case errors.Is(err, accept.ErrNothingDead):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	clicks.Wait()
	if done.Load() != 1 || refused.Load() != 49 || r.asked(t) != 1 {
		t.Errorf("%d were done, %d refused, and %d asked for; want one of 50", done.Load(), refused.Load(), r.asked(t))
	}
	if err := r.Retry(t.Context(), accept.Key{}, "none"); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("a job that nobody knows: %v", err)
	}
}

func TestARepeatedRetryIsDoneOnce(t *testing.T) {
	t.Parallel()
	r := opened(t)
	j, other := r.dead(t), r.dead(t)
	retry := func(r *rig, want error) {
		t.Helper()
		if err := r.Retry(t.Context(), key("k", "retry "+j.ID), j.ID); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	retry(r, nil)
	r.die(t, j.ID) // and yet the same click comes again
	retry(r, nil)
	if n := r.asked(t); n != 1 {
		t.Errorf("asked for %d times, want once", n)
	}
	if err := r.Retry(t.Context(), key("k", "retry "+other.ID), other.ID); !errors.Is(err, accept.ErrKeyReused) {
		t.Errorf("another job with the same key: %v", err)
	}
	if _, err := r.Request(t.Context(), key("k", "task"), event.TaskRequestedData{}); !errors.Is(err, accept.ErrKeyReused) {
		t.Errorf("another request with the same key: %v", err)
	}
	r.stop()
	next := rigAt(t, r.path, accept.NewEmails(), accept.NewKeys())
	next.Open()
	retry(next, nil)
	if n := next.asked(t); n != 1 {
		t.Errorf("after a restart, asked for %d times, want once", n)
	}
	next.prune(t, j.ID)
	retry(next, job.ErrNotFound)
	next.clock.ahead.Store(int64(commit.KeyLife + time.Minute))
	if err := next.Retry(t.Context(), key("k", "retry "+other.ID), other.ID); err != nil {
		t.Errorf("a day later the key is another's: %v", err)
	}
}

func TestARetryIsRefusedAsAnAcceptIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, accept.NewEmails())
	unavailable(t, "before store and NATS have met", r.Retry(t.Context(), accept.Key{}, "j"))
	r.Open()
	j := r.dead(t)
	r.full[stream.Tasks] = "too much is waiting"
	unavailable(t, "while the domain is full", r.Retry(t.Context(), accept.Key{}, j.ID))
	delete(r.full, stream.Tasks)
	untold := r.dead(t)
	tell := func(is bool) {
		t.Helper()
		err := r.writer.Do(func(v *commit.View) error {
			j, err := v.Edit(untold.ID)
			if err == nil {
				j.Tasks[0].State, j.Tasks[0].Untold = event.Cancelled, is
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	tell(true)
	unavailable(t, "while its service has not heard that it is cancelled", r.Retry(t.Context(), accept.Key{}, untold.ID))
	tell(false)
	if err := r.Retry(t.Context(), accept.Key{}, untold.ID); err != nil {
		t.Errorf("and once it has: %v", err)
	}
	r.store.before = func() error { return commit.ErrNoSpace }
	if err := r.Retry(t.Context(), key("k", "x"), j.ID); !errors.Is(err, accept.ErrNoSpace) {
		t.Errorf("on a full disk: %v, want ErrNoSpace", err)
	}
	r.store.before = nil
	if err := r.Retry(t.Context(), key("k", "x"), j.ID); err != nil {
		t.Errorf("and then: %v", err)
	}
}
