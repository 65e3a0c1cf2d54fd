package records_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/projection"
	"handoff/services/api/internal/records"
	"handoff/services/api/internal/user"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// api is the parts of an api that users pass through, over a real store and a real server.
type api struct {
	t      *testing.T
	store  *bolt.Store
	writer *commit.Committer
	emails *accept.Emails
	in     *accept.Accepter
	gate   *keeper
	facts  *records.Reader
	out    *records.Writer
	back   *projection.Projection
	halt   func()
}

// waitsForNothing is the backlog of a relay that keeps pace.
type waitsForNothing struct{}

func (waitsForNothing) Full(string) string { return "" }

func load(t *testing.T, path string) (store *bolt.Store, emails *accept.Emails, lastKey uint64, met bool) {
	t.Helper()
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	emails = accept.NewEmails()
	if err = store.EachEmail(emails.Load); err != nil {
		t.Fatal(err)
	}
	if lastKey, err = store.LastKey(); err != nil {
		t.Fatal(err)
	}
	if met, err = store.Met(); err != nil {
		t.Fatal(err)
	}
	return store, emails, lastKey, met
}

// start runs an api on the file at path, until stop.
func start(t *testing.T, server *natstest.Server, path string) *api {
	t.Helper()
	a := &api{t: t}
	store, emails, lastKey, met := load(t, path)
	a.store, a.emails = store, emails
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	nc, js := connect(t, server)
	a.writer = commit.New(store, lastKey, func(c *commit.Changes) { a.out.Committed(c) })
	a.in = accept.New(a.writer, waitsForNothing{}, emails, accept.NewKeys(), time.Now)
	a.gate = &keeper{nc: nc, js: js, changed: make(chan struct{})}
	a.facts = records.NewReader(met, a.writer, emails, a.gate, js, log)
	a.back = projection.New(store, a.writer, a.facts.Gate(), emails, js, log)
	a.out = records.NewFastWriter(store, a.facts, js, log)
	ctx, cancel := context.WithCancel(context.Background())
	writing, stopWriting := context.WithCancel(context.Background())
	var parts, committer sync.WaitGroup
	committer.Go(func() {
		if err := a.writer.Run(writing); err != nil {
			t.Errorf("committer: %v", err)
		}
	})
	for _, run := range []func(context.Context){a.gate.Run, a.facts.Run, a.back.Run, a.out.Run} {
		parts.Go(func() { run(ctx) })
	}
	a.halt = sync.OnceFunc(func() {
		cancel()
		parts.Wait()
		stopWriting()
		committer.Wait()
		_ = store.Close()
		nc.Close()
	})
	t.Cleanup(a.halt)
	if !met {
		a.meet()
	}
	a.in.Open()
	return a
}

// meet waits until the store knows what is in NATS.
func (a *api) meet() {
	a.t.Helper()
	select {
	case <-a.back.CaughtUp():
	case <-time.After(30 * time.Second):
		a.t.Fatal("the store does not meet its NATS")
	}
	if err := a.writer.Do(func(v *commit.View) error { v.SetMet(); return nil }); err != nil {
		a.t.Fatal(err)
	}
}

// keeper is a gate that opens once streams are there, and closes with the connection.
type keeper struct {
	nc *nats.Conn
	js jetstream.JetStream

	mu      sync.Mutex
	open    bool
	changed chan struct{}
}

func (k *keeper) Check() {}

func (k *keeper) Reads(string) (bool, <-chan struct{}) { return k.Passed("") }

func (k *keeper) Passed(string) (bool, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.open, k.changed
}

func (k *keeper) Run(ctx context.Context) {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		ensuring, cancel := context.WithTimeout(ctx, 5*time.Second)
		open := k.nc.IsConnected() && stream.Ensure(ensuring, k.js, stream.Config{MaxStore: natstest.MaxStore, History: true}) == nil
		cancel()
		k.mu.Lock()
		if open != k.open {
			k.open = open
			close(k.changed)
			k.changed = make(chan struct{})
		}
		k.mu.Unlock()
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// until waits until f has no error.
func (a *api) until(what string, f func() error) {
	a.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("%s: %v", what, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// register accepts n users named after what.
func (a *api) register(what string, n int) {
	a.t.Helper()
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := w; i < n; i += 64 {
				name := fmt.Sprintf("%s-%d", what, i)
				if _, err := a.in.Register(context.Background(), accept.Key{}, name+"@example.com", name, false); err != nil {
					a.t.Errorf("register %s: %v", name, err)
				}
			}
		})
	}
	wg.Wait()
}

// users lists all, as GET /users/ does.
func (a *api) users() []user.User {
	a.t.Helper()
	var all []user.User
	after := ""
	for {
		page, err := a.store.Users(after, 1000)
		if err != nil {
			a.t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].ID
	}
}

// written waits until every user is in RECORDS, and RECORDS holds each once.
func (a *api) written(js jetstream.JetStream) {
	a.t.Helper()
	want := a.users()
	a.until("users are in RECORDS", func() error {
		if n := len(want); n > 0 && (a.out.Position() != want[n-1].Key || a.out.SafePosition() != want[n-1].Key) {
			return fmt.Errorf("the position is %d, safe %d, want %d", a.out.Position(), a.out.SafePosition(), want[n-1].Key)
		}
		got, err := content(a.t, js)
		if err != nil {
			return err
		}
		if !slices.EqualFunc(got, want, func(f event.UserFact, u user.User) bool {
			return f.ID == u.ID && f.Key == u.Key && f.Email == u.Email && f.Username == u.Username && f.JobID == u.JobID && f.Created.Equal(u.Created)
		}) {
			return fmt.Errorf("RECORDS holds %d facts, there are %d users", len(got), len(want))
		}
		return a.out.Err()
	})
}

// content is every fact in RECORDS, in its order.
func content(t *testing.T, js jetstream.JetStream) (all []event.UserFact, err error) {
	t.Helper()
	s, err := js.Stream(t.Context(), stream.Records)
	if err != nil {
		return nil, err
	}
	state := s.CachedInfo().State
	for seq := max(state.FirstSeq, 1); seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			return nil, err
		}
		facts, err := event.DecodeUserFacts(m.Data)
		if err != nil || len(m.Data) > event.MaxFacts {
			return nil, fmt.Errorf("message %d of %d bytes: %w", seq, len(m.Data), err)
		}
		all = append(all, facts.Users...)
	}
	return all, nil
}

func newPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "api.db")
}

func connect(t *testing.T, server *natstest.Server) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc := server.Connect()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

func newReader(t *testing.T, met bool, w records.Committer, emails records.Emails, gate records.Gate, js jetstream.JetStream) *records.Reader {
	t.Helper()
	return records.NewReader(met, w, emails, gate, js, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
