package lease_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/lease"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

const takeOver = 3 * time.Second

const (
	other   = "another api holds this store"
	old     = "an old copy of this store"
	foreign = "this NATS belongs to another store"
)

// patient is for whoever shall not get the lease by waiting.
func patient(_ *api, o *lease.Options) { o.TakeOver = time.Hour }

// An api is a store and its lease.
type api struct {
	*lease.Lease
	t       testing.TB
	path    string
	store   *bolt.Store
	nc      *nats.Conn
	js      jetstream.JetStream
	writer  *commit.Committer
	lastKey uint64
	changes chan struct{}

	committed func(*commit.Changes)

	stopLease, stopWriter func()
	once                  sync.Once
}

// MayRelay reports whether what was accepted may be published.
func (a *api) MayRelay() bool {
	s := a.Standing()
	return s == lease.Beside || s == lease.Leading
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "api.db") }

// copied copies a file as it lies there.
func copied(t testing.TB, path string) string {
	t.Helper()
	from, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	name := newPath(t)
	to, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// begin starts an api with the file at path. Options are changed by edit, if there is any.
func begin(t testing.TB, server *natstest.Server, path string, edit ...func(*api, *lease.Options)) *api {
	t.Helper()
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	lastKey, err := store.LastKey()
	if err != nil {
		t.Fatal(err)
	}
	me, err := store.Identity()
	if err != nil {
		t.Fatal(err)
	}
	a := &api{t: t, path: path, store: store, nc: server.Connect(), changes: make(chan struct{}, 1)}
	if a.js, err = jetstream.New(a.nc); err != nil {
		t.Fatal(err)
	}
	a.lastKey = lastKey
	a.writer = commit.New(store, lastKey, func(c *commit.Changes) {
		if a.committed != nil {
			a.committed(c)
		}
	})
	o := lease.Options{
		NATS: a.nc, JetStream: a.js, Writer: a.writer, Me: me, TakeOver: takeOver,
		Recover: func(_ context.Context, start uint64, _ bool) error {
			return a.writer.Do(func(v *commit.View) error {
				v.SetStart(start)
				return nil
			})
		},
		Changed: func() {
			select {
			case a.changes <- struct{}{}:
			default:
			}
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)).With("api", me.File[:4]),
	}
	for _, f := range edit {
		f(a, &o)
	}
	a.Lease = lease.New(o)
	a.stopWriter = run(func(ctx context.Context) { _ = a.writer.Run(ctx) })
	a.stopLease = run(a.Run)
	t.Cleanup(a.stop)
	return a
}

// run runs f until what it returns is called.
func run(f func(context.Context)) func() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { f(ctx) })
	return func() { cancel(); wg.Wait() }
}

// stop stops the api as a signal does.
func (a *api) stop() {
	a.once.Do(func() {
		a.stopLease()
		a.stopWriter()
		_ = a.store.Close()
	})
}

// kill stops it so that nothing more reaches NATS.
func (a *api) kill() {
	a.nc.Close()
	a.stop()
}

// until waits until what is said holds.
func (a *api) until(what string, holds func() bool) {
	a.t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(end) {
			a.t.Fatalf("waited in vain until %s: leading %t, relaying %t, refusing %q", what, a.Leading(), a.MayRelay(), a.Refusing())
		}
		select {
		case <-a.changes:
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (a *api) untilLeading() {
	a.t.Helper()
	a.until("it leads", func() bool { return a.Leading() && a.MayRelay() && a.Refusing() == "" && a.Ready() == nil })
}

func (a *api) untilRefusing(why string) {
	a.t.Helper()
	a.until("it refuses: "+why, func() bool { return a.Refusing() == why && !a.Leading() })
}

// ensure makes the streams, as the reconciler of a leading api does.
func (a *api) ensure() {
	a.t.Helper()
	cfg := stream.Config{MaxStore: natstest.MaxStore, StoreID: a.Store()}
	if err := stream.Ensure(a.t.Context(), a.js, cfg); err != nil {
		a.t.Fatal(err)
	}
}

// drop takes the lease away, or its whole bucket.
func drop(t testing.TB, js jetstream.JetStream, bucket bool) {
	t.Helper()
	if bucket {
		if err := js.DeleteKeyValue(t.Context(), stream.Control); err != nil {
			t.Fatal(err)
		}
		return
	}
	kv, err := js.KeyValue(t.Context(), stream.Control)
	if err == nil {
		err = kv.Delete(t.Context(), stream.LeaseKey)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// oneAtATime checks, as often as it can until f has returned, that no two of the apis lead.
func oneAtATime(t testing.TB, f func(), apis ...*api) {
	t.Helper()
	stop := run(func(ctx context.Context) {
		for ctx.Err() == nil {
			leading := 0
			for _, a := range apis {
				if a.Leading() {
					leading++
				}
			}
			if leading > 1 {
				t.Error("two lead at one time")
				return
			}
			<-time.After(time.Millisecond)
		}
	})
	f()
	stop()
}
