package sweep

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
	"handoff/services/api/internal/reissue"
	"handoff/shared/event"
	"handoff/shared/stream"
)

const (
	patience  = 5 * time.Second
	batchSize = 200
)

var errUnreadable = errors.New("record can't be decoded")

// Options are what a [Sweeper] works with. All but the times are required.
type Options struct {
	JetStream jetstream.JetStream
	Writer    interface {
		Do(f func(*commit.View) error) error
	}
	Backlog interface {
		Each(f func(*backlog.Row) bool)
	}
	// Projection has the store know what a record says.
	Projection interface {
		Project(v *commit.View, service, jobID string, seen job.Seen) error
	}
	// Gate is closed while a stream is not as it should be: what rests may be put back already.
	Gate interface {
		Passed(stream string) (bool, <-chan struct{})
	}
	Log *slog.Logger

	Allowed func() bool   // whether this api may do so now; default always
	Every   time.Duration // between two sweeps; default a minute
	// Rest is how long a task must not have changed: longer than the server remembers message ids. Default three minutes.
	Rest time.Duration
	// Soon is how long it must not have changed after [Sweeper.Soon]. Default 15 s.
	Soon time.Duration
	// Alive is how recently a record must have been written for its task to be in somebody's hands. Default a minute.
	Alive time.Duration
}

// Sweeper looks for tasks at rest. Make it with [New] and [Sweeper.Run] it.
type Sweeper struct {
	o    Options
	soon chan string
}

// New makes a sweeper.
func New(o Options) *Sweeper {
	if o.Allowed == nil {
		o.Allowed = func() bool { return true }
	}
	if o.Every == 0 {
		o.Every = time.Minute
	}
	if o.Rest == 0 {
		o.Rest = 3 * time.Minute
	}
	if o.Soon == 0 {
		o.Soon = 15 * time.Second
	}
	if o.Alive == 0 {
		o.Alive = time.Minute
	}
	return &Sweeper{o, make(chan string, len(stream.Services()))}
}

// Soon has the tasks of a service looked at in a moment, those too that have come to rest only now: its bucket has lost records, and
// what was lost of a task whose message had been acknowledged is missed by nobody else. They are looked at once more when a record that
// was put back just now does not pass for a living one any longer.
func (s *Sweeper) Soon(service string) {
	select {
	case s.soon <- service:
	default: // there are as many on their way as there are services, and the next sweep comes anyway
	}
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) {
	tick := time.NewTicker(s.o.Every)
	defer tick.Stop()
	var hurried []string
	var moment <-chan time.Time
	var again bool
	for {
		select {
		case <-tick.C:
			s.sweepAll(ctx, stream.Services(), s.o.Rest)
		case service := <-s.soon:
			hurried = append(hurried, service)
			moment, again = time.After(s.o.Soon), true
		case <-moment:
			s.sweepAll(ctx, hurried, s.o.Soon)
			if moment = nil; again {
				moment, again = time.After(s.o.Alive), false
			} else {
				hurried = nil
			}
		case <-ctx.Done():
			return
		}
	}
}

// sweepAll looks at the tasks of services that have not changed for as long as rest.
func (s *Sweeper) sweepAll(ctx context.Context, services []string, rest time.Duration) {
	if !s.o.Allowed() {
		return
	}
	for _, d := range stream.Durables() {
		if open, _ := s.o.Gate.Passed(d.Stream); !open || !slices.Contains(services, d.Service) {
			continue
		}
		if err := s.sweep(ctx, d, rest); err != nil && ctx.Err() == nil {
			s.o.Log.Debug("Sweep was cut short", "stream", d.Stream, "service", d.Service, "error", err)
		}
	}
}

// sweep looks at the jobs of one task.
func (s *Sweeper) sweep(ctx context.Context, d stream.Durable, rest time.Duration) error {
	var resting []backlog.Row
	before := time.Now().Add(-rest)
	s.o.Backlog.Each(func(r *backlog.Row) bool {
		if r.Type == d.Type && r.Service == d.Service && !r.Ended() && (!r.Waits || r.Message == 0) && r.Changed.Before(before) {
			resting = append(resting, *r)
		}
		return true
	})
	if len(resting) == 0 {
		return nil
	}
	delivered, now, err := s.delivered(ctx, d)
	if err != nil {
		return err
	}
	resting = slices.DeleteFunc(resting, func(r backlog.Row) bool { return r.Message > delivered })
	if len(resting) == 0 {
		return nil
	}
	bucket, err := s.o.JetStream.Stream(ctx, stream.BucketStream(stream.Bucket(d.Service)))
	if err != nil {
		return fmt.Errorf("look at the bucket of %s: %w", d.Service, err)
	}
	for batch := range slices.Chunk(resting, batchSize) {
		inputs := make(map[string]Input, len(batch))
		for i := range batch {
			id := batch[i].Job
			seen, err := s.record(ctx, bucket, d.Service, id)
			if errors.Is(err, errUnreadable) {
				continue // a newer worker's, and not ours to judge
			}
			if err != nil {
				return err
			}
			inputs[id] = Input{Now: now, Alive: s.o.Alive, Delivered: delivered, Looked: true, Seen: seen}
		}
		if open, _ := s.o.Gate.Passed(d.Stream); !open {
			return nil
		}
		if err := s.act(d.Service, inputs); err != nil {
			return err
		}
	}
	return nil
}

// delivered says how far the service's consumer has come, and what time it is on the server.
func (s *Sweeper) delivered(ctx context.Context, d stream.Durable) (sequence uint64, now time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := s.o.JetStream.Consumer(ctx, d.Stream, d.Name)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("look at consumer %s on %s: %w", d.Name, d.Stream, err)
	}
	info := c.CachedInfo()
	return info.Delivered.Stream, info.TimeStamp, nil
}

// record reads a task's record; nil when there is none.
func (s *Sweeper) record(ctx context.Context, bucket jetstream.Stream, service, id string) (*job.Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := bucket.GetLastMsgForSubject(ctx, stream.RecordSubject(service, id))
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && m.Header.Get("KV-Operation") != "" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the record of job %s: %w", id, err)
	}
	r, err := event.DecodeRecord(m.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return &job.Seen{Record: r, Revision: m.Sequence, At: m.Time}, nil
}

// act decides about tasks, as the store knows them now, and does it.
func (s *Sweeper) act(service string, inputs map[string]Input) error {
	return s.o.Writer.Do(func(v *commit.View) error {
		for id, in := range inputs {
			j, err := v.Job(id)
			if errors.Is(err, job.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			t := j.Task(service)
			if t == nil {
				continue
			}
			in.Task, in.Later = *t, j.Waits
			if in.Waits, err = v.Waits(j.Stream, t.Entry); err != nil {
				return err
			}
			if err := s.do(v, j.ID, t, Decide(in), in.Seen); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Sweeper) do(v *commit.View, id string, t *job.Task, action Action, seen *job.Seen) error {
	switch action {
	case Project:
		return s.o.Projection.Project(v, t.Service, id, *seen)
	case End:
		_, err := reissue.End(v, id, t.Service, time.Now().UTC())
		return err
	case Reissue:
		done, err := reissue.Task(v, id, t.Service, t.Generation)
		if done {
			s.o.Log.Info("Task had come to rest and is asked for again", "job", id, "service", t.Service, "state", t.State)
		}
		return err
	case Wait, Look:
	}
	return nil
}
