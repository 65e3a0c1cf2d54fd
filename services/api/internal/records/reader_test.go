package records_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/records"
	"handoff/services/api/internal/user"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// The whole of it: users are accepted and written to RECORDS, their events have long left USERS, api.db is deleted.
func TestDeletedStoreKnowsItsUsersAgain(t *testing.T) {
	t.Parallel()
	n := 10_000
	if testing.Short() {
		n = 1000
	}
	server := natstest.Run(t)
	js := server.JetStream()
	a := start(t, server, newPath(t))
	a.register("user", n)
	a.written(js)
	before := a.users()
	last, err := a.store.LastKey()
	if err != nil {
		t.Fatal(err)
	}
	a.halt()

	b := start(t, server, newPath(t))
	if after := b.users(); len(before) != n || !slices.EqualFunc(before, after, sameUser) {
		t.Fatalf("there were %d users, now %d, or others", len(before), len(after))
	}
	for _, i := range []int{0, 77, n - 1} {
		if _, err := b.in.Register(t.Context(), accept.Key{}, before[i].Email, "another", false); !errors.Is(err, user.ErrTaken) {
			t.Errorf("registering %s again: %v", before[i].Email, err)
		}
	}
	u, err := b.in.Register(t.Context(), accept.Key{}, "new@example.com", "new", false)
	if err != nil || u.Key <= last {
		t.Errorf("a new user has key %d, the last before was %d: %v", u.Key, last, err)
	}
	b.written(js)
	b.halt()

	// And once more, with a restart in between.
	c := start(t, server, newPath(t))
	if after := c.users(); len(after) != n+1 {
		t.Errorf("%d users the second time", len(after))
	}
	c.written(js)
}

func sameUser(a, b user.User) bool {
	return a.ID == b.ID && a.Key == b.Key && a.Email == b.Email && a.Username == b.Username && a.JobID == b.JobID && a.Created.Equal(b.Created)
}

// The event of a registration is still in USERS, and its user is in RECORDS: the fact wins.
func TestFactWinsOverEvent(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	js := server.JetStream()
	a := start(t, server, newPath(t))
	u, err := a.in.Register(t.Context(), accept.Key{}, "ada@example.com", "ada", false)
	if err != nil {
		t.Fatal(err)
	}
	a.written(js)
	env, err := event.New(u.JobID, u.Created, event.UserCreatedData{UserID: u.ID, Email: u.Email, Username: u.Username}, "mailer")
	if err != nil {
		t.Fatal(err)
	}
	data, err := env.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "user.created", data); err != nil {
		t.Fatal(err)
	}
	a.halt()
	b := start(t, server, newPath(t))
	if after := b.users(); len(after) != 1 || !sameUser(after[0], u) {
		t.Errorf("%+v, want %+v", after, u)
	}
	if j, err := b.store.Job(u.JobID); err != nil || j.Key <= u.Key {
		t.Errorf("job %+v, %v", j, err)
	}
}

// Duplicates, what can't be read and what is taken spoil nothing else.
func TestReaderKeepsWhatItCan(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	js := server.JetStream()
	const good = `{"id":"%s","key":%d,"email":"%s@example.com","username":"n","created":"2026-01-02T03:04:05Z"}`
	one := func(id string, key uint64, email string) string { return fmt.Sprintf(good, id, key, email) }
	for _, body := range []string{
		`{"users":[` + one("a", 5, "a") + `,` + one("b", 6, "b") + `]}`,
		`no facts`,
		`{"users":[` + one("a", 5, "a") + `,` + one("", 7, "c") + `,` + one("d", 8, "A") + `,` + one("e", 9, "e") + `]}`,
		`{"users":[` + one("f", 5, "f") + `,` + one("f", 5, "f") + `]}`, // an old copy has given out 5 again
		fmt.Sprintf(`{"users":[%s]}`, one("g", event.MaxFactKey+1, "g")),
	} {
		if _, err := js.Publish(t.Context(), stream.RecordUsers, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	a := start(t, server, newPath(t))
	var got []string
	for _, u := range a.users() {
		got = append(got, u.ID)
	}
	if !slices.Equal(got, []string{"a", "b", "e", "f"}) {
		t.Errorf("users are %v", got)
	}
	a.written(js)
}

// An old copy of api.db is put back: what it lacks it learns from RECORDS, and what it has accepted under keys that were given out
// before is written too.
func TestOldCopyOfTheStoreLearns(t *testing.T) {
	t.Parallel()
	t.Run("its log keys are behind", func(t *testing.T) {
		t.Parallel()
		oldCopyLearns(t, 5, func(*records.Writer) {})
	})
	t.Run("it is told so", func(t *testing.T) {
		t.Parallel()
		oldCopyLearns(t, 15, (*records.Writer).Relearn)
	})
}

func oldCopyLearns(t *testing.T, accepted int, tell func(*records.Writer)) {
	t.Helper()
	server := natstest.Run(t)
	js, path := server.JetStream(), newPath(t)
	a := start(t, server, path)
	a.register("first", 10)
	a.written(js)
	a.halt()
	old := newPath(t)
	copyFile(t, path, old)
	a = start(t, server, path)
	a.register("second", 10)
	a.written(js)
	a.halt()
	server.Stop() // the old copy accepts before it has seen NATS
	b := start(t, server, old)
	b.register("third", accepted)
	tell(b.out)
	server.Restart()
	b.until("it knows all", func() error {
		if n := len(b.users()); n != 20+accepted {
			return fmt.Errorf("%d users", n)
		}
		return nil
	})
	b.until("everybody is in RECORDS", func() error {
		facts, err := content(t, js)
		known := map[string]bool{}
		for _, f := range facts {
			known[f.ID] = true
		}
		if len(known) != 20+accepted {
			return fmt.Errorf("%d users are in RECORDS, %w", len(known), err)
		}
		return b.out.Err()
	})
}

// Nothing is adopted before the facts are there.
func TestGateIsClosedUntilFactsAreRead(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	server.Stop()
	path := newPath(t)
	store, emails, lastKey, met := load(t, path)
	t.Cleanup(func() { _ = store.Close() })
	nc, js := connect(t, server)
	k := &keeper{nc: nc, js: js, changed: make(chan struct{})}
	facts := newReader(t, met, commit.New(store, lastKey), emails, k, js)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{}, 2)
	go func() { k.Run(ctx); ended <- struct{}{} }()
	go func() { facts.Run(ctx); ended <- struct{}{} }()
	if open, _ := facts.Gate().Reads(stream.Users); open {
		t.Error("the gate is open without NATS")
	}
	server.Restart()
	<-facts.Done()
	for {
		open, changed := facts.Gate().Reads(stream.Users)
		if open {
			break
		}
		<-changed
	}
	cancel()
	<-ended
	<-ended
	again := newReader(t, true, nil, nil, k, nil)
	select {
	case <-again.Done():
	default:
		t.Error("a store that has met its NATS waits")
	}
}
