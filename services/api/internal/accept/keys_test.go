package accept_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
	"handoff/shared/event"
	"handoff/shared/stream"
)

func key(name, request string) accept.Key { return accept.NewKey(name, []byte(request)) }

// jobs is how many jobs the store has.
func (r *rig) jobs(t testing.TB) int64 {
	t.Helper()
	size, err := r.store.Size()
	if err != nil {
		t.Fatal(err)
	}
	return size.Jobs
}

// prune has a job leave the store.
func (r *rig) prune(t testing.TB, id string) {
	t.Helper()
	err := r.writer.Do(func(v *commit.View) error {
		j, err := v.Job(id)
		if err == nil {
			v.Prune(j)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestARepeatedRequestGetsItsFirstAnswer(t *testing.T) {
	t.Parallel()
	r := opened(t)
	u, err := r.Register(t.Context(), key("k", "users ada"), "ada@example.org", "Ada", true)
	if err != nil {
		t.Fatal(err)
	}
	j, err := r.Request(t.Context(), key("l", "task"), event.TaskRequestedData{DurationMS: 5})
	if err != nil {
		t.Fatal(err)
	}
	again := func(what string, r *rig) {
		if got, err := r.Register(t.Context(), key("k", "users ada"), "ada@example.org", "Ada", true); err != nil || got != u {
			t.Errorf("%s, the user is %+v (%v), want %+v", what, got, err, u)
		}
		if got, err := r.Request(t.Context(), key("l", "task"), event.TaskRequestedData{DurationMS: 5}); err != nil || got.ID != j.ID {
			t.Errorf("%s, the job is %+v (%v), want %s", what, got, err, j.ID)
		}
		if n := r.jobs(t); n != 2 {
			t.Errorf("%s, there are %d jobs, want 2", what, n)
		}
	}
	again("at once", r)
	r.full[stream.Users], r.full[stream.Tasks] = "too much is waiting", "too much is waiting"
	again("while nothing new is accepted", r)
	r.stop()
	next := rigAt(t, r.path, accept.NewEmails(), accept.NewKeys())
	_, err = next.Request(t.Context(), key("l", "task"), event.TaskRequestedData{})
	unavailable(t, "before store and NATS have met", err)
	next.Open()
	again("after a restart", next)
}

func TestAnotherRequestUnderAKeyIsRefused(t *testing.T) {
	t.Parallel()
	r := opened(t)
	if _, err := r.Request(t.Context(), key("k", "one"), event.TaskRequestedData{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Request(t.Context(), key("k", "two"), event.TaskRequestedData{}); !errors.Is(err, accept.ErrKeyReused) {
		t.Errorf("another task: %v, want ErrKeyReused", err)
	}
	if _, err := r.Register(t.Context(), key("k", "three"), "ada@example.org", "Ada", false); !errors.Is(err, accept.ErrKeyReused) {
		t.Errorf("a user: %v, want ErrKeyReused", err)
	}
	if _, err := r.Request(t.Context(), key("l", "one"), event.TaskRequestedData{}); err != nil {
		t.Errorf("the same request under another key: %v", err)
	}
	if n := r.jobs(t); n != 2 {
		t.Errorf("there are %d jobs, want 2", n)
	}
}

func TestARefusedRequestDoesNotUseUpItsKey(t *testing.T) {
	t.Parallel()
	r := opened(t)
	if _, err := r.Register(t.Context(), accept.Key{}, "ada@example.org", "Ada", false); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Register(t.Context(), key("k", "ada"), "ada@example.org", "Ada", false); !errors.Is(err, user.ErrTaken) {
		t.Errorf("an address that was taken without the key: %v, want ErrTaken", err)
	}
	r.full[stream.Users] = "too much is waiting"
	_, err := r.Register(t.Context(), key("k", "grace"), "grace@example.org", "Grace", false)
	unavailable(t, "new, while nothing new is accepted", err)
	delete(r.full, stream.Users)
	r.store.before = func() error { return fmt.Errorf("%w: full", commit.ErrNoSpace) }
	if _, err := r.Register(t.Context(), key("k", "grace"), "grace@example.org", "Grace", false); !errors.Is(err, accept.ErrNoSpace) {
		t.Errorf("on a full disk: %v, want ErrNoSpace", err)
	}
	r.store.before = nil
	if prints, more, queue := r.keys.Len(); prints+more+queue != 0 {
		t.Errorf("%d fingerprints, %d more and %d places stay in memory", prints, more, queue)
	}
	if _, err := r.Register(t.Context(), key("k", "somebody else"), "alan@example.org", "Alan", false); err != nil {
		t.Errorf("another request, since the first was refused: %v", err)
	}
}

// A job that was read from a stream may have no user, because another has the address.
func TestARepeatedRequestIsNotAnsweredWithAnother(t *testing.T) {
	t.Parallel()
	r := opened(t)
	u, err := r.Register(t.Context(), key("k", "ada"), "ada@example.org", "Ada", false)
	if err != nil {
		t.Fatal(err)
	}
	j, err := r.store.Job(u.JobID)
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.store.Accepted(j.Stream, j.Key)
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Decode(a.Data)
	if err != nil {
		t.Fatal(err)
	}
	next := opened(t)
	if _, err := next.Register(t.Context(), accept.Key{}, "ada@example.org", "Another Ada", false); err != nil {
		t.Fatal(err)
	}
	err = next.writer.Do(func(v *commit.View) error {
		a.Key = v.NextKey()
		v.Accept(a, job.New(e, a.Stream, a.Key, e.Services()))
		v.AddKeyed(e, a.Key, e.Time)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := next.Register(t.Context(), key("k", "ada"), "ada@example.org", "Ada", false); !errors.Is(err, user.ErrTaken) {
		t.Errorf("got %+v (%v), want ErrTaken", got, err)
	}
}

// The event of a keyed request names sums that anybody can compute, and not the key.
func TestTheEventSaysWhichRequestItIsOf(t *testing.T) {
	t.Parallel()
	r := opened(t)
	j, err := r.Request(t.Context(), key("a key", "POST /async-task/\n"), event.TaskRequestedData{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.store.Accepted(j.Stream, j.Key)
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Decode(a.Data)
	if err != nil {
		t.Fatal(err)
	}
	const (
		hash    = "c6a914e80f06e3c92b2e52a2f110aff17ff0be765a4697f373a932cef7bb9a24" // printf 'Idempotency-Key: a key' | sha256sum
		request = "21be26a1373ddf0bca6fc3f47e85b2ef75541c81f553232163194e9c9747ebfa" // printf 'POST /async-task/\n' | sha256sum
	)
	if e.IdempotencyHash != hash || e.BodyHash != request {
		t.Errorf("the sums are %s and %s, want %s and %s", e.IdempotencyHash, e.BodyHash, hash, request)
	}
	if j, err = r.Request(t.Context(), accept.Key{}, event.TaskRequestedData{}); err != nil {
		t.Fatal(err)
	}
	if a, err = r.store.Accepted(j.Stream, j.Key); err != nil {
		t.Fatal(err)
	}
	if e, err = event.Decode(a.Data); err != nil || e.IdempotencyHash != "" || e.BodyHash != "" {
		t.Errorf("without a key the event is %+v (%v)", e, err)
	}
}

// While a commit hangs, whoever comes with the key of one that waits for it is told to come later, and one is kept.
func TestOneOfManyWithANewKeyIsKept(t *testing.T) {
	t.Parallel()
	r := opened(t)
	writing, goOn := make(chan struct{}), make(chan struct{})
	begun := sync.OnceFunc(func() { close(writing) })
	r.store.before = func() error {
		begun()
		<-goOn
		return nil
	}
	var all sync.WaitGroup
	all.Go(func() { _, _ = r.Request(t.Context(), accept.Key{}, event.TaskRequestedData{}) })
	<-writing
	var kept, inFlight atomic.Int64
	answers := make(chan struct{}, 50)
	for range 50 {
		all.Go(func() {
			defer func() { answers <- struct{}{} }()
			switch _, err := r.Register(t.Context(), key("k", "ada"), "ada@example.org", "Ada", false); {
			case err == nil:
				kept.Add(1)
			case errors.Is(err, accept.ErrInFlight):
				inFlight.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	for range 49 {
		<-answers // while the first one waits
	}
	close(goOn)
	all.Wait()
	if kept.Load() != 1 || inFlight.Load() != 49 {
		t.Errorf("%d kept and %d told to come later, want one kept", kept.Load(), inFlight.Load())
	}
	if n := r.jobs(t); n != 2 {
		t.Errorf("there are %d jobs, want 2", n)
	}
	if _, err := r.Register(t.Context(), key("k", "ada"), "ada@example.org", "Ada", false); err != nil {
		t.Errorf("and later: %v", err)
	}
}

// Whoever has not heard of the request that is under way shares its transaction at most, and gets its answer.
func TestOneWithAKeyIsKeptWithinABatch(t *testing.T) {
	t.Parallel()
	r := opened(t)
	writing, goOn := make(chan struct{}), make(chan struct{})
	begun := sync.OnceFunc(func() { close(writing) })
	r.store.before = func() error {
		begun()
		<-goOn
		return nil
	}
	var all sync.WaitGroup
	all.Go(func() { _, _ = r.Request(t.Context(), accept.Key{}, event.TaskRequestedData{}) })
	<-writing
	var ids sync.Map
	for range 20 {
		in := accept.New(r.writer, r.full, r.emails, r.keys, time.Now)
		in.Open()
		all.Go(func() {
			j, err := in.Request(t.Context(), key("k", "task"), event.TaskRequestedData{})
			if err != nil {
				t.Error(err)
				return
			}
			ids.Store(j.ID, true)
		})
	}
	close(goOn)
	all.Wait()
	n := 0
	ids.Range(func(_, _ any) bool { n++; return true })
	if jobs := r.jobs(t); n != 1 || jobs != 2 {
		t.Errorf("the key stands for %d jobs, and there are %d, want 1 and 2", n, jobs)
	}
}

// Many that come with few keys at the same time: each gets its own key's job, and there is one for each.
func TestManyRacesForFewKeys(t *testing.T) {
	t.Parallel()
	r := opened(t)
	var ids [4]sync.Map
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for n := range 50 {
				k := (i + n) % len(ids)
				switch j, err := r.Request(t.Context(), key(fmt.Sprint(k), "task"), event.TaskRequestedData{}); {
				case err == nil:
					ids[k].Store(j.ID, true)
				case !errors.Is(err, accept.ErrInFlight):
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for k := range ids {
		n := 0
		ids[k].Range(func(_, _ any) bool { n++; return true })
		if n != 1 {
			t.Errorf("key %d stands for %d jobs", k, n)
		}
	}
	if n := r.jobs(t); n != int64(len(ids)) {
		t.Errorf("there are %d jobs, want %d", n, len(ids))
	}
}
