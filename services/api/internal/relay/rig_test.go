package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/relay"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// gate is one that the test opens and closes.
type gate struct {
	mu      sync.Mutex
	open    bool
	changed chan struct{}
	losses  atomic.Int64 // how often it was told of one
}

func (g *gate) Lost(string, uint64) { g.losses.Add(1) }

func (g *gate) Check() {}

func (g *gate) Passed(string) (bool, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.changed
}

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
	close(g.changed)
	g.changed = make(chan struct{})
}

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// rig is an api's way out: a real store and committer, a relay, a real server.
type rig struct {
	t      *testing.T
	nats   *natstest.Server
	js     jetstream.JetStream // the test's own
	store  *bolt.Store
	gate   *gate
	limits relay.Limits
	log    buffer
	reads  relay.Store // what the relay reads; the store unless set

	relay  *relay.Relay
	writer *commit.Committer
	halt   func()
	n      int
}

func newRig(t *testing.T, s *natstest.Server) *rig {
	t.Helper()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "api.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r := &rig{
		t: t, nats: s, js: s.JetStream(), store: store, gate: &gate{open: true, changed: make(chan struct{})}, limits: relay.DefaultLimits(),
	}
	r.reads = store
	return r
}

// start starts committer and relay over the store as it is.
func (r *rig) start() {
	r.t.Helper()
	last, err := r.store.LastKey()
	if err != nil {
		r.t.Fatal(err)
	}
	js, err := jetstream.New(r.nats.Connect(), jetstream.WithPublishAsyncMaxPending(1<<15), jetstream.WithPublishAsyncTimeout(2*time.Second))
	if err != nil {
		r.t.Fatal(err)
	}
	var out *relay.Relay
	r.writer = commit.New(r.store, last, func(c *commit.Changes) { out.Committed(c) })
	log := slog.New(slog.NewTextHandler(&r.log, nil))
	if out, err = relay.NewLimited(r.limits, r.reads, r.writer, r.gate, js, log); err != nil {
		r.t.Fatal(err)
	}
	r.relay = out
	relaying, stopRelay := context.WithCancel(context.Background())
	writing, stopWriter := context.WithCancel(context.Background())
	var relayDone, writerDone sync.WaitGroup
	relayDone.Go(func() { out.Run(relaying) })
	writerDone.Go(func() {
		if err := r.writer.Run(writing); err != nil {
			r.t.Errorf("writer: %v", err)
		}
	})
	r.halt = sync.OnceFunc(func() {
		stopRelay()
		relayDone.Wait()
		stopWriter()
		writerDone.Wait()
	})
	r.t.Cleanup(r.halt)
}

// accept accepts n jobs for a stream and gives their ids in the order of the log.
func (r *rig) accept(name string, n, size int) []string {
	r.t.Helper()
	var ids []string
	for len(ids) < n {
		k := min(n-len(ids), 500)
		err := r.writer.Do(func(v *commit.View) error {
			for range k {
				r.n++
				id := fmt.Sprintf("%s-%06d", name, r.n)
				typ, service := event.UserCreated, "mailer"
				if name == stream.Images {
					typ, service = event.ImageRequested, "imager"
				}
				j := &job.Job{ID: id, Type: typ, Key: v.NextKey(), Stream: name, Tasks: []job.Task{{Service: service, State: event.Queued}}}
				v.Accept(commit.Accept{Key: j.Key, Stream: name, Subject: string(typ), Job: id, Data: bytes.Repeat([]byte("x"), size)}, j)
				ids = append(ids, id)
			}
			return nil
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return ids
}

// in gives the message ids in a stream, in order.
func (r *rig) in(name string) []string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := r.js.Stream(ctx, name)
	if err != nil {
		r.t.Fatal(err)
	}
	n := int(s.CachedInfo().State.Msgs)
	if n == 0 {
		return nil
	}
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		r.t.Fatal(err)
	}
	batch, err := c.Fetch(n, jetstream.FetchMaxWait(20*time.Second))
	if err != nil {
		r.t.Fatal(err)
	}
	var ids []string
	for m := range batch.Messages() {
		ids = append(ids, m.Headers().Get(jetstream.MsgIDHeader))
	}
	if len(ids) != n || batch.Error() != nil {
		r.t.Fatalf("read %d of the %d messages in %s: %v", len(ids), n, name, batch.Error())
	}
	return ids
}

func (r *rig) position(name string) uint64 {
	r.t.Helper()
	p, err := r.store.Position(name)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// key is the log key of a job.
func (r *rig) key(id string) uint64 {
	r.t.Helper()
	j, err := r.store.Job(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return j.Key
}

// relayed waits until the store's position is at a job.
func (r *rig) relayed(name, id string) {
	r.t.Helper()
	key := r.key(id)
	r.until("the position of "+name+" comes to "+id, func() bool { return r.position(name) >= key })
}

func (r *rig) until(what string, f func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !f(); {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited too long: %s; log:\n%s", what, r.log.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// resize changes the limit of USERS, and for one that is full makes it so again.
func (r *rig) resize(maxBytes int64) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := r.js.Stream(ctx, stream.Users)
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = maxBytes
	if _, err := r.js.UpdateStream(ctx, cfg); err != nil {
		r.t.Fatal(err)
	}
}
