package trim

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
)

// Limits say how much is kept.
type Limits struct {
	JobRetention time.Duration // of ended jobs in the store; default 168h
	JobMax       int64         // jobs in the store; default 1,000,000
	DeadMax      int           // dead ones among them, which leave for no other reason; default 100,000
	LogRetention time.Duration // of records in the buckets; default 168h
	// Grace is how long what has been purged may still come back: two of NATS's sync intervals, and at least a minute, which is the
	// default.
	Grace time.Duration
	// Unbroken is how long a picture may take to be written; default 15s, longer than the imager waits for it.
	Unbroken time.Duration
	// Every is the time between two looks, default 1s.
	Every time.Duration
}

func (l Limits) withDefaults() Limits {
	week := 7 * 24 * time.Hour
	return Limits{
		JobRetention: or(l.JobRetention, week), JobMax: or(l.JobMax, 1_000_000), DeadMax: or(l.DeadMax, 100_000),
		LogRetention: or(l.LogRetention, week), Grace: or(l.Grace, time.Minute), Every: or(l.Every, time.Second),
		Unbroken: or(l.Unbroken, 15*time.Second),
	}
}

func or[T int | int64 | time.Duration](v, unset T) T {
	if v == 0 {
		return unset
	}
	return v
}

// A Store is what is read of the api's store.
type Store interface {
	Position(stream string) (uint64, error)
	EntryWaits(key uint64) (bool, error)
	Shelf
	Orphans(after commit.Orphan, limit int) ([]commit.Orphan, error)
}

// A Shelf is where ended jobs are.
type Shelf interface {
	Size() (bolt.Size, error)
	OffWindow(after uint64, limit int) (found []*job.Job, next uint64, err error)
	JobByKey(key uint64) (*job.Job, error)
}

// A Writer runs a function in the store's next transaction.
type Writer interface {
	Do(f func(*commit.View) error) error
}

// A Reading tells how far a stream has been read: the store knows of every message up to sequence. created is when that stream was
// made; zero while it is not read.
type Reading interface {
	Read(stream string) (created time.Time, sequence uint64, atEnd bool)
}

// A Leader is the one of several apis that may remove anything.
type Leader interface{ Leading() bool }

// A Reissue asks for a task again, in a transaction; false when there is nothing to ask for.
type Reissue func(v *commit.View, jobID, service string, generation int) (bool, error)

// Parts are what a [Trimmer] works with.
type Parts struct {
	Store   Store
	Writer  Writer
	Backlog interface {
		Each(f func(*backlog.Row) bool)
	}
	Open      func() bool // whether NATS has been looked after, and nothing is being put back
	Reading   Reading
	JetStream jetstream.JetStream
	Log       *slog.Logger
	Now       func() time.Time

	Leader   Leader                   // nil: always
	Reissue  Reissue                  // nil: stragglers stay
	Refused  func(stream string) bool // whether a stream has no room even for what is asked for again; nil: never
	Recorded func() uint64            // users up to this log key have a second copy; nil: all
}

// Trimmer removes what nobody needs. Make it with [New] and [Trimmer.Run] it.
type Trimmer struct {
	Parts
	limits Limits
	pruner *Pruner
	firsts map[string]*firsts   // by stream
	left   published            // entries that have left
	asked  map[string]time.Time // by stream: when its stragglers were asked for again
	primed map[string]time.Time // by service: when the bucket was made whose open key was written again
	orphan commit.Orphan        // the last one looked at
	// planned is how long the last plan took. The committer waits for as long, so there must be few.
	planned time.Duration
	said    string // what is amiss, as logged
	apart   atomic.Int64
}

// Err says that NATS alone can't tell of every unfinished job, and why; nil when it can.
func (t *Trimmer) Err() error {
	if n := t.apart.Load(); n > 0 {
		return fmt.Errorf("%d tasks whose message has gone wait to be published again", n)
	}
	return nil
}

// New makes a trimmer.
func New(p Parts, l Limits) *Trimmer {
	l = l.withDefaults()
	if p.Recorded == nil {
		p.Recorded = func() uint64 { return math.MaxUint64 }
	}
	return &Trimmer{
		Parts: p, limits: l, pruner: NewPruner(p.Store, p.Writer, p.Log, l), firsts: map[string]*firsts{}, asked: map[string]time.Time{},
		primed: map[string]time.Time{},
	}
}

// Committed takes over what a transaction has changed. It is given to the committer.
func (t *Trimmer) Committed(c *commit.Changes) { t.pruner.Committed(c) }

// Run trims until ctx ends.
func (t *Trimmer) Run(ctx context.Context) {
	pause := t.limits.Every
	for {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		if !t.may() {
			t.forget()
			continue
		}
		t.say(ctx, errors.Join(t.pass(ctx), t.clearPictures(ctx)))
		pause = max(t.limits.Every, 20*t.planned)
	}
}

// may reports whether anything may be removed now.
func (t *Trimmer) may() bool {
	return t.Open() && (t.Leader == nil || t.Leader.Leading())
}

// forget has everything be within the grace again, since a server that was away may have lost its latest purges.
func (t *Trimmer) forget() {
	clear(t.firsts)
	t.left = published{}
}

// pass looks once and removes what may go.
func (t *Trimmer) pass(ctx context.Context) error {
	v, err := t.look(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	orders := Plan(&v.Seen, iter.Seq[*backlog.Row](t.Backlog.Each))
	t.planned = time.Since(began)
	apart := 0
	for _, n := range orders.Apart {
		apart += n
	}
	t.apart.Store(int64(apart))
	for _, step := range []func() error{
		func() error { return t.prime(ctx, v) },
		func() error { return t.purgeStreams(ctx, v, orders) },
		func() error { return t.askAgain(orders) },
		func() error { return t.clearBuckets(ctx, v, orders) },
		func() error { return t.pruner.Settle(&v.Seen, orders.Settle) },
		func() error { return t.pruner.Prune(&v.Seen, t.Now()) },
		func() error { return t.dropOrphans(&v.Seen) },
	} {
		if !t.may() {
			break
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// say logs what is amiss once.
func (t *Trimmer) say(ctx context.Context, err error) {
	why := ""
	if err != nil && ctx.Err() == nil {
		why = err.Error()
	}
	if why != t.said && why != "" {
		t.Log.Warn("Nothing is removed for now", "error", err)
	}
	t.said = why
}

// askAgain has the few old tasks that hold a stream get new messages, at its end.
func (t *Trimmer) askAgain(o *Orders) error {
	if t.Reissue == nil {
		return nil
	}
	for name, tasks := range o.Old {
		if t.Now().Sub(t.asked[name]) < t.limits.Grace/6 {
			continue // the last ones may still be on their way
		}
		t.asked[name] = t.Now()
		n := 0
		for batch := range chunks(tasks) {
			err := t.Writer.Do(func(v *commit.View) error {
				for _, task := range batch {
					asked, err := t.Reissue(v, task.Job, task.Service, task.Generation)
					if err != nil {
						return fmt.Errorf("ask %s for job %s again: %w", task.Service, task.Job, err)
					}
					if asked {
						n++
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		t.Log.Info("Old tasks that held a stream were given new messages", "stream", name, "tasks", n)
	}
	return nil
}

// dropOrphans forgets, a page at a time, records whose job did not come before their bucket was purged past them.
func (t *Trimmer) dropOrphans(seen *Seen) error {
	page, err := t.Store.Orphans(t.orphan, batchSize)
	if err != nil {
		return err
	}
	if len(page) == 0 {
		t.orphan = commit.Orphan{}
		return nil
	}
	t.orphan = page[len(page)-1]
	var gone []commit.Orphan
	for _, o := range page {
		if b := seen.Buckets[o.Service]; b != nil && fed(seen, o.Service) && (o.Seen.Revision < b.First || o.Seen.At.Before(b.Created)) {
			gone = append(gone, o)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return t.Writer.Do(func(v *commit.View) error {
		for _, o := range gone {
			v.DropOrphan(o)
		}
		return nil
	})
}
