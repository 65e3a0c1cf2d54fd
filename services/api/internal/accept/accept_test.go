package accept_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/user"
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

type rig struct {
	*accept.Accepter
	store  *faulty
	emails *accept.Emails
	full   backlog
	stop   func()
}

func newRig(t testing.TB, emails *accept.Emails) *rig {
	t.Helper()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "api.db"))
	if err != nil {
		t.Fatal(err)
	}
	last, err := store.LastKey()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{store: &faulty{Store: store}, emails: emails, full: backlog{}}
	c := commit.New(r.store, last)
	r.Accepter = accept.New(c, r.full, emails, time.Now)
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
	})
	t.Cleanup(func() {
		r.stop()
		_ = store.Close()
	})
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
		u, err := r.Register(t.Context(), "A@Example.org", "a", c.notify)
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
		j, err := r.Request(t.Context(), p)
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

func TestAnAddressIsTakenOnce(t *testing.T) {
	t.Parallel()
	r := opened(t)
	if _, err := r.Register(t.Context(), "a@example.org", "a", false); err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{"a@example.org", "A@EXAMPLE.ORG", " a@Example.org"} {
		if _, err := r.Register(t.Context(), email, "b", false); !errors.Is(err, user.ErrTaken) {
			t.Errorf("%q: %v, want ErrTaken", email, err)
		}
	}
	if _, err := r.Register(t.Context(), "b@example.org", "b", false); err != nil {
		t.Errorf("another address: %v", err)
	}
	size, err := r.store.Size()
	if err != nil || size.Users != 2 || size.Jobs != 2 {
		t.Errorf("kept %+v (%v), want 2 users and 2 jobs: a refusal leaves nothing", size, err)
	}
}

// Those who ask at the same time share a transaction, whose users the store does not have yet.
func TestAnAddressIsTakenOnceWithinABatch(t *testing.T) {
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
	all.Go(func() { _, _ = r.Register(t.Context(), "first@example.org", "a", false) })
	<-writing
	var kept, taken atomic.Int64
	for i := range 50 {
		all.Go(func() {
			email := "a@example.org"
			if i%2 == 0 {
				email = "A@example.ORG"
			}
			switch _, err := r.Register(t.Context(), email, "a", false); {
			case err == nil:
				kept.Add(1)
			case errors.Is(err, user.ErrTaken):
				taken.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	close(goOn)
	all.Wait()
	if kept.Load() != 1 || taken.Load() != 49 {
		t.Errorf("%d kept and %d refused, want one kept", kept.Load(), taken.Load())
	}
	if size, err := r.store.Size(); err != nil || size.Users != 2 {
		t.Errorf("the store has %d users (%v), want 2", size.Users, err)
	}
}

func TestTwoAddressesUnderOneFingerprint(t *testing.T) {
	t.Parallel()
	emails := accept.NewEmailsUnder(func(string) uint64 { return 7 })
	r := newRig(t, emails)
	r.Open()
	for i := range 5 {
		if _, err := r.Register(t.Context(), fmt.Sprintf("u%d@example.org", i), "a", false); err != nil {
			t.Fatalf("user %d: %v", i, err)
		}
	}
	// One is refused for want of space: the others under the fingerprint stay taken, in whichever place they are.
	r.store.before = func() error { return commit.ErrNoSpace }
	if _, err := r.Register(t.Context(), "u5@example.org", "a", false); !errors.Is(err, accept.ErrNoSpace) {
		t.Fatal(err)
	}
	r.store.before = nil
	for i := range 5 {
		if _, err := r.Register(t.Context(), fmt.Sprintf("U%d@example.org", i), "a", false); !errors.Is(err, user.ErrTaken) {
			t.Errorf("user %d again: %v, want ErrTaken", i, err)
		}
	}
	if prints, more := emails.Len(); prints != 1 || more != 4 {
		t.Errorf("%d fingerprints and %d more, want 1 and 4", prints, more)
	}
	if _, err := r.Register(t.Context(), "u5@example.org", "a", false); err != nil {
		t.Errorf("the one that was refused: %v", err)
	}
}

func TestARolledBackAcceptFreesItsAddress(t *testing.T) {
	t.Parallel()
	r := opened(t)
	r.store.before = func() error { return fmt.Errorf("%w: full", commit.ErrNoSpace) }
	for range 2 {
		if _, err := r.Register(t.Context(), "a@example.org", "a", false); !errors.Is(err, accept.ErrNoSpace) {
			t.Fatalf("on a full disk: %v, want ErrNoSpace", err)
		}
	}
	if prints, more := r.emails.Len(); prints != 0 || more != 0 {
		t.Errorf("%d fingerprints and %d more stay in memory", prints, more)
	}
	r.store.before = nil
	if _, err := r.Register(t.Context(), "a@example.org", "a", false); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestAddressesOfAnEarlierProcessAreTaken(t *testing.T) {
	t.Parallel()
	r := opened(t)
	u, err := r.Register(t.Context(), "a@example.org", "a", false)
	if err != nil {
		t.Fatal(err)
	}
	r.emails.Load(user.User{Email: "gone@example.org", Key: u.Key + 100}) // of a user that the store does not have
	again := accept.NewEmails()
	if err := r.store.EachUser(again.Load); err != nil {
		t.Fatal(err)
	}
	r.stop()
	last, err := r.store.LastKey()
	if err != nil {
		t.Fatal(err)
	}
	c := commit.New(r.store, last)
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	running.Go(func() { _ = c.Run(ctx) })
	defer running.Wait()
	defer cancel()
	next := accept.New(c, r.full, again, time.Now)
	next.Open()
	if _, err := next.Register(t.Context(), "A@example.org", "a", false); !errors.Is(err, user.ErrTaken) {
		t.Errorf("after a restart: %v, want ErrTaken", err)
	}
	if _, err := next.Register(t.Context(), "gone@example.org", "a", false); err != nil {
		t.Errorf("an address of nobody's: %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	r := opened(t)
	big := event.ImageRequestedData{ImageURL: strings.Repeat("x", event.MaxEvent), Operations: []event.Operation{{Name: "resize"}}}
	if _, err := r.Request(t.Context(), big); !errors.Is(err, accept.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	big.ImageURL = big.ImageURL[:event.MaxEvent-1000]
	if _, err := r.Request(t.Context(), big); err != nil {
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
	_, err := r.Register(t.Context(), "a@example.org", "a", false)
	unavailable(t, "register", err)
	_, err = r.Request(t.Context(), event.TaskRequestedData{})
	unavailable(t, "request", err)
	r.Open()
	if _, err := r.Register(t.Context(), "a@example.org", "a", false); err != nil {
		t.Errorf("once opened: %v", err)
	}
}

func TestABacklogHoldsUpItsOwnDomainOnly(t *testing.T) {
	t.Parallel()
	r := opened(t)
	r.full[stream.Users] = "too much is waiting"
	_, err := r.Register(t.Context(), "a@example.org", "a", false)
	unavailable(t, "the domain that is full", err)
	if _, err := r.Request(t.Context(), event.TaskRequestedData{}); err != nil {
		t.Errorf("another domain: %v", err)
	}
}

func TestUnavailableOnceStopped(t *testing.T) {
	t.Parallel()
	r := opened(t)
	r.stop()
	_, err := r.Register(t.Context(), "a@example.org", "a", false)
	unavailable(t, "register", err)
}
