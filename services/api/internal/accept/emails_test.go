package accept_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/user"
)

func TestAnAddressIsTakenOnce(t *testing.T) {
	t.Parallel()
	r := opened(t)
	if _, err := r.Register(t.Context(), accept.Key{}, "a@example.org", "a", false); err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{"a@example.org", "A@EXAMPLE.ORG", " a@Example.org"} {
		if _, err := r.Register(t.Context(), accept.Key{}, email, "b", false); !errors.Is(err, user.ErrTaken) {
			t.Errorf("%q: %v, want ErrTaken", email, err)
		}
	}
	if _, err := r.Register(t.Context(), accept.Key{}, "b@example.org", "b", false); err != nil {
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
	all.Go(func() { _, _ = r.Register(t.Context(), accept.Key{}, "first@example.org", "a", false) })
	<-writing
	var kept, taken atomic.Int64
	for i := range 50 {
		all.Go(func() {
			email := "a@example.org"
			if i%2 == 0 {
				email = "A@example.ORG"
			}
			switch _, err := r.Register(t.Context(), accept.Key{}, email, "a", false); {
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
		if _, err := r.Register(t.Context(), accept.Key{}, fmt.Sprintf("u%d@example.org", i), "a", false); err != nil {
			t.Fatalf("user %d: %v", i, err)
		}
	}
	// One is refused for want of space: the others under the fingerprint stay taken, in whichever place they are.
	r.store.before = func() error { return commit.ErrNoSpace }
	if _, err := r.Register(t.Context(), accept.Key{}, "u5@example.org", "a", false); !errors.Is(err, accept.ErrNoSpace) {
		t.Fatal(err)
	}
	r.store.before = nil
	for i := range 5 {
		if _, err := r.Register(t.Context(), accept.Key{}, fmt.Sprintf("U%d@example.org", i), "a", false); !errors.Is(err, user.ErrTaken) {
			t.Errorf("user %d again: %v, want ErrTaken", i, err)
		}
	}
	if prints, more := emails.Len(); prints != 1 || more != 4 {
		t.Errorf("%d fingerprints and %d more, want 1 and 4", prints, more)
	}
	if _, err := r.Register(t.Context(), accept.Key{}, "u5@example.org", "a", false); err != nil {
		t.Errorf("the one that was refused: %v", err)
	}
}

func TestADiskThatDoesNotTakeItIsAskedAgainLater(t *testing.T) {
	t.Parallel()
	r := opened(t)
	r.store.before = func() error { return fmt.Errorf("%w: input/output error", commit.ErrNotWritten) }
	_, err := r.Register(t.Context(), accept.Key{}, "a@example.org", "a", false)
	if why, ok := errors.AsType[*accept.UnavailableError](err); !ok || why.RetryAfter <= 0 {
		t.Fatalf("on a broken disk: %v, want an UnavailableError", err)
	}
	r.store.before = nil
	if _, err := r.Register(t.Context(), accept.Key{}, "a@example.org", "a", false); err != nil {
		t.Errorf("when it takes it again: %v", err)
	}
}

func TestARolledBackAcceptFreesItsAddress(t *testing.T) {
	t.Parallel()
	r := opened(t)
	r.store.before = func() error { return fmt.Errorf("%w: full", commit.ErrNoSpace) }
	for range 2 {
		if _, err := r.Register(t.Context(), accept.Key{}, "a@example.org", "a", false); !errors.Is(err, accept.ErrNoSpace) {
			t.Fatalf("on a full disk: %v, want ErrNoSpace", err)
		}
	}
	if prints, more := r.emails.Len(); prints != 0 || more != 0 {
		t.Errorf("%d fingerprints and %d more stay in memory", prints, more)
	}
	r.store.before = nil
	if _, err := r.Register(t.Context(), accept.Key{}, "a@example.org", "a", false); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestAddressesOfAnEarlierProcessAreTaken(t *testing.T) {
	t.Parallel()
	r := opened(t)
	u, err := r.Register(t.Context(), accept.Key{}, "a@example.org", "a", false)
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	next := rigAt(t, r.path, accept.NewEmails(), accept.NewKeys())
	next.emails.Load(u.Key+100, "gone@example.org") // of a user that the store does not have
	next.Open()
	if _, err := next.Register(t.Context(), accept.Key{}, "A@example.org", "a", false); !errors.Is(err, user.ErrTaken) {
		t.Errorf("after a restart: %v, want ErrTaken", err)
	}
	if _, err := next.Register(t.Context(), accept.Key{}, "gone@example.org", "a", false); err != nil {
		t.Errorf("an address of nobody's: %v", err)
	}
}
