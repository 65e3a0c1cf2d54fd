package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/projection"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// Restored is the error of a task that nobody knows the end of any more.
const Restored = "restored from a backup"

// A Range is the sequences that a stream holds.
type Range struct{ First, Last uint64 }

func (r Range) holds(seq uint64) bool { return seq > 0 && r.First <= seq && seq <= r.Last }

// Unknown selects the tasks that have not ended by what a file knows, and of which NATS knows nothing: neither the message that asks
// for the task is there, nor its record. They may have ended long ago. there is what is left of each stream, those of the buckets
// too. In an old copy that goes for all up to lastKey, the highest log key when it was opened; what was accepted since is not of the
// copy. A file that is none (old is false) is the only one to know what it has accepted and never published.
func Unknown(rows []backlog.Row, there map[string]Range, lastKey uint64, old bool) []backlog.Row {
	var unknown []backlog.Row
	for i := range rows {
		r := &rows[i]
		message := there[r.Stream].holds(r.Message)
		record := there[stream.BucketStream(stream.Bucket(r.Service))].holds(r.Revision)
		forgotten := r.Message > 0
		if old {
			forgotten = r.Key <= lastKey
		}
		if !r.Ended() && !message && !record && forgotten {
			unknown = append(unknown, *r)
		}
	}
	return unknown
}

// Bury ends those tasks as dead, unless something has been heard of them since rows was made. It returns how many.
func Bury(v *commit.View, rows []backlog.Row, at time.Time) (int, error) {
	type task struct {
		row *backlog.Row
		log commit.Accept
	}
	var found []task
	for i := range rows { // nothing is changed before everything has been read
		r := &rows[i]
		j, err := v.Job(r.Job)
		if errors.Is(err, job.ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, err
		}
		t := j.Task(r.Service)
		if t == nil || t.State != r.State || t.Message != r.Message || t.Revision != r.Revision || t.Generation != r.Gen {
			continue
		}
		a, err := v.Accepted(j)
		if err != nil && !errors.Is(err, job.ErrNotFound) {
			return 0, err
		}
		found = append(found, task{r, a})
	}
	for _, f := range found {
		j, err := v.Edit(f.row.Job)
		if err != nil {
			return 0, err
		}
		t := j.Task(f.row.Service)
		bury(t, at.UTC())
		if f.log.Data != nil {
			projection.AddDeadLetter(v, j, t, f.log.Data)
		}
	}
	return len(found), nil
}

func bury(t *job.Task, at time.Time) {
	r := event.Record{State: event.Dead, Attempt: t.Attempt, Steps: t.Steps}
	r.AddStep(at, Restored)
	t.State, t.Error, t.Ended, t.Due, t.Steps = event.Dead, Restored, &at, nil, r.Steps
}

// A Recovery makes a file current: it has everything read that is in NATS, and buries what is not known there any more. Its Run is
// for [Options.Recover].
type Recovery struct {
	JetStream jetstream.JetStream
	Writer    Writer
	CatchUp   []func(context.Context) error // each returns when the file knows what it is to know from NATS
	Backlog   interface {
		Each(f func(*backlog.Row) bool)
	}
	LastKey uint64 // highest log key when the file was opened
	Now     func() time.Time
	Log     *slog.Logger
}

// Run recovers, and gives the file its new start number when that is done. It may be run again.
func (r *Recovery) Run(ctx context.Context, start uint64, old bool) error {
	for _, f := range r.CatchUp {
		if err := f(ctx); err != nil {
			return err
		}
	}
	there, err := r.there(ctx)
	if err != nil {
		return err
	}
	var rows []backlog.Row
	r.Backlog.Each(func(row *backlog.Row) bool {
		rows = append(rows, *row)
		return true
	})
	dead := 0
	for some := range slices.Chunk(Unknown(rows, there, r.LastKey, old), commit.MaxBatch) {
		err := r.Writer.Do(func(v *commit.View) error {
			n, err := Bury(v, some, r.Now())
			dead += n
			return err
		})
		if err != nil {
			return fmt.Errorf("end what nobody knows the end of: %w", err)
		}
	}
	// Last: a start that comes before has to do the rest.
	err = r.Writer.Do(func(v *commit.View) error {
		v.SetStart(start)
		return nil
	})
	if err != nil {
		return fmt.Errorf("give the file its start number: %w", err)
	}
	if old || dead > 0 {
		r.Log.Warn("Was behind; what nobody knew the end of is dead", "old_copy", old, "tasks", dead)
	}
	return nil
}

// there asks what is left of each stream.
func (r *Recovery) there(ctx context.Context) (map[string]Range, error) {
	there := map[string]Range{}
	list := r.JetStream.ListStreams(ctx)
	for info := range list.Info() {
		there[info.Config.Name] = Range{info.State.FirstSeq, info.State.LastSeq}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("ask what is left of the streams: %w", err)
	}
	return there, nil
}
