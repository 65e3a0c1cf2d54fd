package projection

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// records says what the task records of one service change.
type records struct {
	service string
	log     *slog.Logger
}

func (r *records) apply(v *commit.View, _ time.Time, batch []message) error {
	// A record says all that those before it said, so the last one of each key is enough.
	last := make(map[string]int, len(batch))
	for i := range batch {
		last[batch[i].Subject()] = i
	}
	for i := range batch {
		if last[batch[i].Subject()] != i {
			continue
		}
		if err := r.read(v, &batch[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *records) read(v *commit.View, m *message) error {
	id := strings.TrimPrefix(m.Subject(), stream.RecordSubject(r.service, ""))
	if strings.HasPrefix(id, "_") || m.Headers().Get("KV-Operation") != "" {
		return nil
	}
	record, err := event.DecodeRecord(m.Data())
	if err != nil {
		r.log.Warn("Task record can't be decoded", "job", id, "error", err)
		return nil
	}
	return r.take(v, id, job.Seen{Record: record, Revision: m.seq, At: m.at})
}

// take has the store know what was read of a job's record.
func (r *records) take(v *commit.View, id string, seen job.Seen) error {
	j, err := v.Job(id)
	if errors.Is(err, job.ErrNotFound) {
		v.AddOrphan(commit.Orphan{Job: id, Service: r.service, Seen: seen})
		return nil
	}
	if err != nil {
		return err
	}
	return r.fold(v, j, seen)
}

func (r *records) fold(v *commit.View, j *job.Job, seen job.Seen) error {
	t := j.Task(r.service)
	if t == nil {
		return nil // nobody asked for it
	}
	next, news := job.Fold(*t, seen)
	if next.State == event.Cancelled && !next.Untold && job.Behind(seen.Record, &next) {
		next.Untold, news = true, true // whoever wrote that has not heard of it
	}
	if !news {
		return nil
	}
	died := next.State == event.Dead && (t.State != event.Dead || t.Generation != next.Generation)
	if died {
		a, err := v.Accepted(j)
		if err != nil {
			return err
		}
		AddDeadLetter(v, j, &next, a.Data)
	}
	j, err := v.Edit(j.ID)
	if err != nil {
		return err
	}
	t, untold := j.Task(r.service), next.Untold
	*t, _ = job.Fold(*t, seen) // again: what a job off its window had in NATS is forgotten by now
	t.Untold = untold
	return nil
}
