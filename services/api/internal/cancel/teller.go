package cancel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

const (
	codeWrongLastSequence = 10071
	patience              = 2 * time.Second
	again                 = time.Second // between two tries
)

var (
	errUnreadable = errors.New("record can't be decoded")
	errConflict   = errors.New("record has another revision")
)

// Options are what a [Teller] works with. All are required.
type Options struct {
	NATS      *nats.Conn
	JetStream jetstream.JetStream
	Store     interface {
		Job(id string) (*job.Job, error)
	}
	Writer interface {
		Later(f func(*commit.View))
	}
	// Gate is closed while a stream is not as it should be, or is not ours to write to: then its buckets are left alone.
	Gate interface {
		Passed(stream string) (bool, <-chan struct{})
	}
	Log *slog.Logger
}

// Teller has buckets say what was cancelled. Make it with [New], tell the committer of [Teller.Committed], and [Teller.Run] it.
type Teller struct {
	o      Options
	queues map[string]*queue // by service, so that none waits for another's bucket
}

// queue is what one service is still to be told.
type queue struct {
	service string
	streams []string // that its tasks wait in
	wake    chan struct{}

	mu   sync.Mutex
	jobs map[string]struct{}
}

// New makes a teller that begins with what is left of earlier ones.
func New(o Options, rows interface {
	Each(f func(*backlog.Row) bool)
}) *Teller {
	t := &Teller{o: o, queues: map[string]*queue{}}
	for _, d := range stream.Durables() {
		q := t.queues[d.Service]
		if q == nil {
			q = &queue{service: d.Service, wake: make(chan struct{}, 1), jobs: map[string]struct{}{}}
			t.queues[d.Service] = q
		}
		q.streams = append(q.streams, d.Stream)
	}
	rows.Each(func(r *backlog.Row) bool {
		if r.Untold {
			t.add(r.Service, r.Job)
		}
		return true
	})
	return t
}

// Committed takes over what a transaction has cancelled. It is given to the committer.
func (t *Teller) Committed(c *commit.Changes) {
	for _, j := range c.Jobs {
		for i := range j.Tasks {
			if j.Tasks[i].Untold {
				t.add(j.Tasks[i].Service, j.ID)
			}
		}
	}
}

func (t *Teller) add(service, id string) {
	if q := t.queues[service]; q != nil {
		q.put(id)
		q.nudge()
	}
}

func (q *queue) put(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs[id] = struct{}{}
}

func (q *queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take gives all that waits.
func (q *queue) take() map[string]struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	jobs := q.jobs
	q.jobs = map[string]struct{}{}
	return jobs
}

// Run tells until ctx ends.
func (t *Teller) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, q := range t.queues {
		wg.Go(func() { t.run(ctx, q) })
	}
	wg.Wait()
}

func (t *Teller) run(ctx context.Context, q *queue) {
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		select {
		case <-q.wake:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if t.may(q) {
			t.tellAll(ctx, q)
		}
	}
}

func (t *Teller) may(q *queue) bool {
	for _, name := range q.streams {
		if open, _ := t.o.Gate.Passed(name); !open {
			return false
		}
	}
	return true
}

// tellAll tells what waits. What can't be told now waits on.
func (t *Teller) tellAll(ctx context.Context, q *queue) {
	broken := false
	for id := range q.take() {
		if broken {
			q.put(id)
			continue
		}
		if err := t.tell(ctx, q.service, id); err != nil {
			q.put(id)
			broken = !errors.Is(err, errUnreadable)
			t.o.Log.Debug("Cancelled task is not in its bucket yet", "job", id, "service", q.service, "error", err)
		}
	}
}

// tell has the record of a task say that it is cancelled, and whoever does the task look at it.
func (t *Teller) tell(ctx context.Context, service, id string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	j, err := t.o.Store.Job(id)
	if errors.Is(err, job.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	known := j.Task(service)
	if known == nil || !wished(known) {
		return nil
	}
	next, revision, err := t.put(ctx, id, known)
	if err != nil {
		return err
	}
	if word, err := json.Marshal(event.Cancel{Job: id}); err == nil {
		_ = t.o.NATS.Publish(stream.CancelSubject(service), word) // who does not hear it finds out at its next touch
	}
	t.o.Writer.Later(func(v *commit.View) { told(v, id, &next, revision) })
	return nil
}

// put has a record say that its task is cancelled, and gives what is known of the task then.
func (t *Teller) put(ctx context.Context, id string, known *job.Task) (next job.Task, revision uint64, err error) {
	for {
		record, read, err := t.read(ctx, known.Service, id)
		if err != nil {
			return next, 0, err
		}
		next, write := Decide(*known, record)
		if !write {
			return next, read, nil
		}
		revision, err = t.write(ctx, known.Service, id, job.Record(&next, time.Now()), read)
		if errors.Is(err, errConflict) {
			continue // somebody was faster
		}
		return next, revision, err
	}
}

// wished reports whether the task's record is still to say that it is cancelled.
func wished(t *job.Task) bool { return t.Untold && t.State == event.Cancelled }

// told notes that a record says that its task is cancelled, and what it had come to before.
func told(v *commit.View, id string, next *job.Task, revision uint64) {
	j, err := v.Job(id)
	if err != nil {
		return // it has left, or it is told once more
	}
	if t := j.Task(next.Service); t == nil || !wished(t) || t.Generation != next.Generation {
		return
	}
	if j, err = v.Edit(id); err != nil {
		return
	}
	t := j.Task(next.Service)
	t.Claim, t.Attempt, t.Progress, t.Result, t.Started = next.Claim, next.Attempt, next.Progress, next.Result, next.Started
	t.Trace, t.Error, t.Steps, t.Revision, t.Untold = next.Trace, next.Error, next.Steps, max(t.Revision, revision), false
}

// read gives a task's record, nil for none, and the revision to write over.
func (t *Teller) read(ctx context.Context, service, id string) (*event.Record, uint64, error) {
	s, err := t.o.JetStream.Stream(ctx, stream.BucketStream(stream.Bucket(service)))
	if err != nil {
		return nil, 0, fmt.Errorf("look at the bucket of %s: %w", service, err)
	}
	m, err := s.GetLastMsgForSubject(ctx, stream.RecordSubject(service, id))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, 0, nil
	case err != nil:
		return nil, 0, fmt.Errorf("read the record of job %s: %w", id, err)
	case m.Header.Get("KV-Operation") != "" || m.Header.Get(jetstream.MarkerReasonHeader) != "":
		return nil, m.Sequence, nil
	}
	r, err := event.DecodeRecord(m.Data)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errUnreadable, err) // a newer worker's, which may end it in words that we know
	}
	return r, m.Sequence, nil
}

// write replaces the record at a revision, 0 for none. The error is errConflict when it is at another.
func (t *Teller) write(ctx context.Context, service, id string, r *event.Record, revision uint64) (uint64, error) {
	data, err := r.Encode()
	if err != nil {
		return 0, err
	}
	msg := nats.NewMsg(stream.RecordSubject(service, id))
	msg.Data = data
	// Padded as the workers do it: the header is stored, too, and must not grow by a digit in a bucket that is full.
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprintf("%020d", revision))
	ack, err := t.o.JetStream.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeWrongLastSequence {
		return 0, errConflict
	}
	if err != nil {
		return 0, fmt.Errorf("write the record of job %s: %w", id, err)
	}
	return ack.Sequence, nil
}
