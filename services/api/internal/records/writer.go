package records

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/user"
	"handoff/shared/stream"
)

// A Store is what the writer reads.
type Store interface {
	UsersAfter(key uint64, limit int) ([]user.User, error) // in the order of their log keys
	EachUser(f func(user.User)) error
	LastKey() (uint64, error) // highest log key given out
}

// timing of a writer.
type timing struct {
	linger time.Duration // how long more users are waited for, before what has come is written
	look   time.Duration // how often RECORDS is looked at
	sync   time.Duration // after which the server has what it acknowledged on its disk
}

// Writer writes users to RECORDS. Make it with [NewWriter], tell the committer of [Writer.Committed], and [Writer.Run] it.
type Writer struct {
	store  Store
	facts  *Reader
	js     jetstream.JetStream
	log    *slog.Logger
	timing timing
	wake   chan struct{}

	mu       sync.Mutex
	position uint64 // every user up to this log key is in RECORDS
	was      trail  // of position
	trouble  string
	full     bool
	relearn  bool // the store is to learn first what RECORDS knows
	lost     bool // RECORDS lacks facts that it had, or should have

	// The rest belongs to the goroutine of Run.
	created     time.Time // when RECORDS was made
	last        uint64    // its last sequence
	key         uint64    // highest log key in the copy that is being written
	replaces    uint64    // what was there before that copy
	old         bool      // what was there before is still there
	whole       time.Time // when the copy was first found to be whole; zero before
	bytes       uint64
	limit       uint64
	estimated   time.Time // when it was last asked what the living would take
	estimatedAt uint64    // bytes at that time
}

// NewWriter makes a writer that waits for facts to have been read. syncInterval is how long the NATS server may take to have on disk
// what it has acknowledged.
func NewWriter(store Store, facts *Reader, js jetstream.JetStream, syncInterval time.Duration, log *slog.Logger) *Writer {
	return newWriter(timing{linger: time.Second, look: 10 * time.Second, sync: syncInterval}, store, facts, js, log)
}

func newWriter(t timing, store Store, facts *Reader, js jetstream.JetStream, log *slog.Logger) *Writer {
	return &Writer{
		store: store, facts: facts, js: js, log: log.With("stream", stream.Records), timing: t, wake: make(chan struct{}, 1),
		was: trail{keep: 2 * t.sync},
	}
}

// Committed hears of users who have been added. It is given to the committer.
func (w *Writer) Committed(c *commit.Changes) {
	if len(c.Users) == 0 {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Position is the highest log key up to which every user is in RECORDS.
func (w *Writer) Position() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.position
}

// SafePosition is the position as it stood two sync intervals ago, 0 when that is not known: the users up to there stay in RECORDS
// even through a power loss.
func (w *Writer) SafePosition() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return min(w.position, w.was.ago(time.Now()))
}

// UsersFull says why no more users should be accepted; empty when more may be.
func (w *Writer) UsersFull() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.full {
		return ""
	}
	return "the stream RECORDS, which keeps what is known of users, is full"
}

// Relearn tells the writer that the store is an old copy: it learns what RECORDS knows, and RECORDS is written anew. [Writer.Err] has an
// error until that is done.
func (w *Writer) Relearn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.relearn, w.lost = true, true
}

// CatchUp has the store know every user whom RECORDS knows, and RECORDS written anew: others may have written to it.
func (w *Writer) CatchUp(ctx context.Context) error {
	w.Relearn()
	return w.facts.read(ctx)
}

// HeldUpBy says what keeps users from being written; empty when nothing does.
func (w *Writer) HeldUpBy() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trouble
}

// Err says that RECORDS lacks users until they have been written again; nil when it is as it should be, or NATS is away.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost {
		return errors.New("users are being written to RECORDS again")
	}
	return nil
}

// Run writes until ctx ends. What is not written then is written after the next start.
func (w *Writer) Run(ctx context.Context) {
	gate := w.facts.Gate()
	_ = whenOpen(ctx, gate, gate.Passed, func(ctx context.Context, changed <-chan struct{}) error {
		err := w.follow(ctx, changed)
		if err != nil && ctx.Err() == nil && !errors.Is(err, errNotAsKnown) {
			w.say(err.Error())
		}
		return err
	})
}

// follow writes what comes until the gate changes, or something is amiss.
func (w *Writer) follow(ctx context.Context, gate <-chan struct{}) error {
	if err := w.look(ctx); err != nil {
		return err
	}
	look := time.NewTicker(w.timing.look)
	defer look.Stop()
	for {
		if err := w.writeAll(ctx); err != nil {
			return err
		}
		w.say("")
		select {
		case <-w.wake:
			select {
			case <-time.After(w.timing.linger):
			case <-ctx.Done():
				return nil
			case <-gate:
				return nil
			}
		case <-look.C:
			if err := w.look(ctx); err != nil {
				return err
			}
		case <-gate:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// say logs what is amiss once, and once that it is over.
func (w *Writer) say(trouble string) {
	w.mu.Lock()
	said := w.trouble
	w.trouble = trouble
	w.mu.Unlock()
	switch trouble {
	case said:
	case "":
		w.log.Info("Users are written again")
	default:
		w.log.Warn("Users are not written", "error", trouble)
	}
}

// moved notes how far the users are in RECORDS. After a loss nothing is certain that was before.
func (w *Writer) moved(position uint64, lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if lost {
		w.was.clear()
	}
	w.position = position
	w.was.add(time.Now(), position)
}

func (w *Writer) setFull(full bool) {
	w.mu.Lock()
	was := w.full
	w.full = full
	w.mu.Unlock()
	if full && !was {
		w.log.Error("RECORDS is full: no more users are accepted", "bytes", w.bytes, "limit", w.limit)
	}
}

// setLost says whether RECORDS lacks users, which it does as long as the store lacks some.
func (w *Writer) setLost(lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost = lost || w.relearn
}

// learn has the store know what RECORDS knows.
func (w *Writer) learn(ctx context.Context) error {
	w.log.Warn("RECORDS may know users whom the store does not")
	w.setLost(true)
	if err := w.facts.read(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.relearn = false
	return nil
}

func (w *Writer) toRelearn() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.relearn
}
