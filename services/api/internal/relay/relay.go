package relay

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/stream"
)

// Limits of one stream's backlog: beyond them the domain accepts no more, so that its outage can't fill the disk.
const (
	MaxUnrelayed      = 1_000_000
	MaxUnrelayedBytes = 1 << 30
)

// limits of one lane.
type limits struct {
	Unrelayed, UnrelayedBytes int64         // accepts that wait; beyond, no more are accepted
	Window, WindowBytes       int           // messages on their way at once
	Queue, QueueBytes         int           // accepts kept in memory; beyond, they are read from the store
	MaxPause                  time.Duration // between tries
	AskTimeout                time.Duration // for how full the stream is
	Patience                  time.Duration // how long accepts wait for room before that is said
}

func defaults() limits {
	return limits{
		Unrelayed: MaxUnrelayed, UnrelayedBytes: MaxUnrelayedBytes,
		Window: 4096, WindowBytes: 32 << 20, Queue: 8192, QueueBytes: 32 << 20, MaxPause: 5 * time.Second,
		AskTimeout: 2 * time.Second, Patience: 10 * time.Second,
	}
}

// A Store is what the relay reads.
type Store interface {
	Position(stream string) (uint64, error)
	Log(stream string, after uint64, limit int) ([]commit.Accept, error)
	LogSize(stream string, after uint64) (count, bytes int64, err error)
	Entries(stream string) ([]commit.Entry, error)
	Accepted(stream string, key uint64) (commit.Accept, error)
	Mark(stream string) (commit.Mark, error)
	Job(id string) (*job.Job, error)
}

// A Writer runs a function in one of the store's next transactions.
type Writer interface {
	Later(f func(*commit.View))
}

// A Gate before each stream is closed from every connect until the stream has been looked after, and while it is put back.
type Gate interface {
	// Passed reports whether a stream may be published to, and gives a channel that is closed when that changes.
	Passed(stream string) (bool, <-chan struct{})
	// Lost says that a stream has lost every message above a sequence. Its gate is closed until they have been put back.
	Lost(stream string, left uint64)
	// Check asks for the streams to be looked after soon.
	Check()
}

// Relay publishes the log. Make it with [New], tell the committer of [Relay.Committed], and [Relay.Run] it.
type Relay struct {
	lanes map[string]*lane
	order []*lane
}

// New makes a relay that publishes with js. It reads how far it had come. js must have a timeout for asynchronous publishing, since
// an answer may be lost, and room for the windows of all streams, since one that waits must not hold up another.
func New(store Store, w Writer, gate Gate, js jetstream.JetStream, log *slog.Logger) (*Relay, error) {
	return newRelay(defaults(), store, w, gate, js, log)
}

func newRelay(lim limits, store Store, w Writer, gate Gate, js jetstream.JetStream, log *slog.Logger) (*Relay, error) {
	r := &Relay{lanes: map[string]*lane{}}
	for _, name := range append(stream.WorkStreams(), stream.Dead) {
		l := &lane{
			stream: name, limits: lim, store: store, writer: w, gate: gate, js: js, log: log.With("stream", name),
			wake: make(chan struct{}, 1), behind: true,
		}
		if err := l.resume(); err != nil {
			return nil, fmt.Errorf("resume the relay to %s: %w", name, err)
		}
		r.lanes[name] = l
		r.order = append(r.order, l)
	}
	return r, nil
}

// Limit sets how many accepts of each stream may wait before no more are accepted for it; [MaxUnrelayed] unless it is called, which must
// be before [Relay.Run].
func (r *Relay) Limit(unrelayed int64) {
	for _, l := range r.order {
		l.limits.Unrelayed = unrelayed
	}
}

// Committed takes over what a transaction has added to the log. It is given to the committer.
func (r *Relay) Committed(c *commit.Changes) {
	for i := range c.Accepts {
		if a := &c.Accepts[i]; r.lanes[a.Stream] != nil {
			r.lanes[a.Stream].push(fromAccept(a))
		}
	}
	for i := range c.Entries {
		if e := &c.Entries[i]; r.lanes[e.Stream] != nil {
			r.lanes[e.Stream].pushEntry(fromEntry(e))
		}
	}
}

// Run publishes until ctx ends and then waits for the answers that are still to come.
func (r *Relay) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, l := range r.order {
		wg.Go(func() { l.run(ctx) })
	}
	wg.Wait()
}

// Standstill returns once nothing is on its way to a stream any more, and all answers have been handed to the writer. The stream's
// gate must be closed; it takes no longer than an answer may take.
func (r *Relay) Standstill(name string) {
	if l := r.lanes[name]; l != nil {
		l.pumping.Lock()
		l.pumping.Unlock() //nolint:staticcheck // to have held it is what is wanted
	}
}

// Full says why no more should be accepted for a stream; empty when more may be.
func (r *Relay) Full(name string) string {
	l := r.lanes[name]
	if l == nil {
		return ""
	}
	if n := l.waiting.Load(); n >= l.limits.Unrelayed || l.bytes.Load() >= l.limits.UnrelayedBytes {
		return fmt.Sprintf("%d accepted jobs are waiting for the stream %s", n, name)
	}
	return ""
}

// Refuses reports whether a stream has no room even for entries.
func (r *Relay) Refuses(name string) bool {
	l := r.lanes[name]
	return l != nil && l.refused.Load()
}

// HeldUpBy says what keeps the relay from publishing to a stream; empty when nothing does.
func (r *Relay) HeldUpBy(name string) string {
	l := r.lanes[name]
	if l == nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trouble
}

// Waiting gives how many accepts of a stream have not been acknowledged by it, and their size in bytes.
func (r *Relay) Waiting(name string) (count, bytes int64) {
	l := r.lanes[name]
	if l == nil {
		return 0, 0
	}
	return l.waiting.Load(), l.bytes.Load()
}
