package accept_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// faulty is a real store whose commits can be made to wait and to fail.
type faulty struct {
	*bolt.Store
	before func() error
}

func (f *faulty) Commit(c *commit.Changes) error {
	if f.before != nil {
		if err := f.before(); err != nil {
			return err
		}
	}
	return f.Store.Commit(c)
}

// backlog says for which streams no more is accepted.
type backlog map[string]string

func (b backlog) Full(name string) string { return b[name] }

// clock is the time, and as much later as a test wants.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

type rig struct {
	*accept.Accepter
	store  *faulty
	emails *accept.Emails
	keys   *accept.Keys
	clock  *clock
	writer *commit.Committer
	path   string
	full   backlog
	stop   func()
}

func newRig(t testing.TB, emails *accept.Emails) *rig {
	t.Helper()
	return rigAt(t, filepath.Join(t.TempDir(), "api.db"), emails, accept.NewKeys())
}

// rigAt is an accepter over the file at path; emails and keys are filled from it, as the api does when it starts.
func rigAt(t testing.TB, path string, emails *accept.Emails, keys *accept.Keys) *rig {
	t.Helper()
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.EachEmail(emails.Load), store.EachKeyed(keys.Load)); err != nil {
		t.Fatal(err)
	}
	last, err := store.LastKey()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{store: &faulty{Store: store}, emails: emails, keys: keys, clock: &clock{}, path: path, full: backlog{}}
	r.writer = commit.New(r.store, last, keys.Committed)
	c := r.writer
	r.Accepter = accept.New(c, r.full, emails, keys, r.clock.now)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Errorf("committer: %v", err)
		}
	})
	r.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		_ = store.Close()
	})
	t.Cleanup(r.stop)
	return r
}

func opened(t testing.TB) *rig {
	t.Helper()
	r := newRig(t, accept.NewEmails())
	r.Open()
	return r
}

func TestRegisterKeepsUserJobAndEvent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		notify  bool
		subject string
		tasks   string
	}{{false, "user.created", "mailer"}, {true, "user.created.notify", "mailer,notifier"}} {
		r := opened(t)
		u, err := r.Register(t.Context(), accept.Key{}, "A@Example.org", "a", c.notify)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := r.store.User(u.ID)
		if err != nil || kept != u || u.Email != "A@Example.org" || u.Username != "a" || u.Key == 0 {
			t.Errorf("kept %+v (%v), want %+v", kept, err, u)
		}
		j, err := r.store.Job(u.JobID)
		if err != nil || j.Key != u.Key || j.State() != event.Queued || len(j.Tasks) != strings.Count(c.tasks, ",")+1 {
			t.Fatalf("the job is %+v (%v)", j, err)
		}
		a, err := r.store.Accepted(stream.Users, u.Key)
		if err != nil || a.Subject != c.subject || a.Job != j.ID || a.Read {
			t.Fatalf("the log has %+v (%v)", a, err)
		}
		e, err := event.Decode(a.Data)
		if err != nil || e.ID != j.ID || e.Tasks != c.tasks || !e.Time.Equal(j.Created) {
			t.Errorf("the event is %+v (%v)", e, err)
		}
		d, err := event.DecodeData[event.UserCreatedData](e)
		if want := (event.UserCreatedData{UserID: u.ID, Email: u.Email, Username: "a"}); err != nil || d != want {
			t.Errorf("its data is %+v (%v), want %+v", d, err, want)
		}
	}
}

func TestRequestKeepsJobAndEvent(t *testing.T) {
	t.Parallel()
	r := opened(t)
	for _, p := range []event.Payload{
		event.TaskRequestedData{DurationMS: 5}, event.ImageRequestedData{ImageURL: "https://example.org/a.jpg", Operations: []event.Operation{{Name: "resize"}}},
	} {
		j, err := r.Request(t.Context(), accept.Key{}, p)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := r.store.Job(j.ID)
		if err != nil || kept.Type != p.EventType() || kept.Stream != stream.ForType(p.EventType()) || len(kept.Tasks) != 1 {
			t.Errorf("kept %+v (%v)", kept, err)
		}
		a, err := r.store.Accepted(kept.Stream, kept.Key)
		if err != nil || a.Subject != string(p.EventType()) || a.Job != j.ID {
			t.Errorf("the log has %+v (%v)", a, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	r := opened(t)
	big := event.ImageRequestedData{ImageURL: strings.Repeat("x", event.MaxEvent), Operations: []event.Operation{{Name: "resize"}}}
	if _, err := r.Request(t.Context(), accept.Key{}, big); !errors.Is(err, accept.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	big.ImageURL = big.ImageURL[:event.MaxEvent-1000]
	if _, err := r.Request(t.Context(), accept.Key{}, big); err != nil {
		t.Errorf("just below: %v", err)
	}
}

func unavailable(t *testing.T, what string, err error) {
	t.Helper()
	var u *accept.UnavailableError
	if !errors.As(err, &u) || u.RetryAfter <= 0 || u.Reason == "" {
		t.Errorf("%s: %v, want UnavailableError with a reason and a time", what, err)
	}
}

func TestUnavailableUntilOpened(t *testing.T) {
	t.Parallel()
	r := newRig(t, accept.NewEmails())
	_, err := r.Register(t.Context(), accept.Key{}, "a@example.org", "a", false)
	unavailable(t, "register", err)
	_, err = r.Request(t.Context(), accept.Key{}, event.TaskRequestedData{})
	unavailable(t, "request", err)
	r.Open()
	if _, err := r.Register(t.Context(), accept.Key{}, "a@example.org", "a", false); err != nil {
		t.Errorf("once opened: %v", err)
	}
}

func TestABacklogHoldsUpItsOwnDomainOnly(t *testing.T) {
	t.Parallel()
	r := opened(t)
	r.full[stream.Users] = "too much is waiting"
	_, err := r.Register(t.Context(), accept.Key{}, "a@example.org", "a", false)
	unavailable(t, "the domain that is full", err)
	if _, err := r.Request(t.Context(), accept.Key{}, event.TaskRequestedData{}); err != nil {
		t.Errorf("another domain: %v", err)
	}
}

func TestUnavailableOnceStopped(t *testing.T) {
	t.Parallel()
	r := opened(t)
	r.stop()
	_, err := r.Register(t.Context(), accept.Key{}, "a@example.org", "a", false)
	unavailable(t, "register", err)
}
