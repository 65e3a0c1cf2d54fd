package accept_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

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

func TestAKeyLeavesWithItsJobOrAfterADay(t *testing.T) {
	t.Parallel()
	r := opened(t)
	request := func(name string) string {
		t.Helper()
		j, err := r.Request(t.Context(), key(name, "task"), event.TaskRequestedData{})
		if err != nil {
			t.Fatal(err)
		}
		return j.ID
	}
	a, b := request("a"), request("b")
	r.prune(t, a)
	if prints, more, _ := r.keys.Len(); prints != 1 || more != 0 {
		t.Errorf("%d fingerprints and %d more, want one", prints, more)
	}
	if again := request("a"); again == a || request("b") != b || request("a") != again {
		t.Error("a key did not leave with its job, and only then")
	}
	r.clock.ahead.Store(int64(commit.KeyLife - time.Minute))
	if request("b") != b {
		t.Error("a key is gone before its day is over")
	}
	r.clock.ahead.Store(int64(commit.KeyLife + time.Minute))
	if request("b") == b {
		t.Error("a key is still known after its day")
	}
	if prints, more, queue := r.keys.Len(); prints != 1 || more != 0 || queue != 1 {
		t.Errorf("%d fingerprints, %d more and %d places, want one of the newest request", prints, more, queue)
	}
	n := 0
	if err := r.store.EachKeyed(func(commit.Keyed) { n++ }); err != nil || n != 1 {
		t.Errorf("the store keeps %d (%v), want one", n, err)
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

// Whatever comes, in whatever order, with restarts and full disks between: an answer is what a plain map of keys would give.
func TestKeysAgainstAModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		path := fmt.Sprintf("%s/%d", dir, runs)
		width := rapid.SampledFrom([]uint64{1, 2, 1 << 62}).Draw(rt, "fingerprints")
		under := func(s commit.Sum) uint64 { return uint64(s[0]) % width } // some or all keys under one fingerprint
		r := rigAt(t, path, accept.NewEmails(), accept.NewKeysUnder(under))
		defer func() { r.stop() }()
		r.Open()
		type known struct {
			job, request string
			at           time.Duration
		}
		model := map[string]known{}
		var now time.Duration
		total := 0
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "key")
			switch rapid.SampledFrom([]string{"request", "request", "request", "no room", "prune", "wait", "restart"}).Draw(rt, "step") {
			case "request":
				body := rapid.SampledFrom([]string{"x", "x", "y"}).Draw(rt, "body")
				j, err := r.Request(t.Context(), key(name, body), event.TaskRequestedData{})
				m, ok := model[name]
				switch {
				case ok && m.request != body:
					if !errors.Is(err, accept.ErrKeyReused) {
						rt.Fatalf("%s with another request: %v", name, err)
					}
				case err != nil:
					rt.Fatalf("%s: %v", name, err)
				case ok && j.ID != m.job:
					rt.Fatalf("%s gives the job %s, want %s again", name, j.ID, m.job)
				case !ok:
					total++
					model[name] = known{job: j.ID, request: body, at: now}
				}
			case "no room":
				r.store.before = func() error { return commit.ErrNoSpace }
				_, err := r.Request(t.Context(), key(name, "x"), event.TaskRequestedData{})
				r.store.before = nil
				if m, ok := model[name]; !ok && !errors.Is(err, accept.ErrNoSpace) || ok && m.request == "x" && err != nil {
					rt.Fatalf("%s without room: %v; known before: %v", name, err, ok)
				}
			case "prune":
				if m, ok := model[name]; ok {
					r.prune(t, m.job)
					delete(model, name)
					total--
				}
			case "wait":
				now += time.Duration(rapid.IntRange(1, 30).Draw(rt, "hours")) * time.Hour
				r.clock.ahead.Store(int64(now))
				for k, m := range model {
					if now-m.at >= commit.KeyLife {
						delete(model, k)
					}
				}
			case "restart":
				r.stop()
				r = rigAt(t, path, accept.NewEmails(), accept.NewKeysUnder(under))
				r.clock.ahead.Store(int64(now))
				r.Open()
			}
		}
		if n := r.jobs(t); n != int64(total) {
			rt.Fatalf("there are %d jobs, want %d", n, total)
		}
	})
}

// What is kept in memory stays within what is known, and the queue within twice that.
func TestKeysStaySmall(t *testing.T) {
	t.Parallel()
	keys := accept.NewKeys()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var jobs []*job.Job
	for n := range 10_000 {
		j := &job.Job{Key: uint64(n + 1)}
		jobs = append(jobs, j)
		keys.Committed(&commit.Changes{Keyed: []commit.Keyed{{Key: j.Key, Hash: commit.Sum{byte(n), byte(n >> 8)}, At: at}}})
		if n >= 100 { // the first job stays; of the others, the last hundred
			keys.Committed(&commit.Changes{Pruned: []*job.Job{jobs[n-99]}})
		}
		if prints, more, queue := keys.Len(); prints+more > 101 || queue > 300 {
			t.Fatalf("after %d: %d fingerprints, %d more and %d places", n, prints, more, queue)
		}
	}
	keys.Committed(&commit.Changes{Keyed: []commit.Keyed{{Key: 20_000, At: at.Add(commit.KeyLife)}}})
	if prints, more, queue := keys.Len(); prints+more != 1 || queue != 1 {
		t.Errorf("a day later: %d fingerprints, %d more and %d places, want one", prints, more, queue)
	}
}
