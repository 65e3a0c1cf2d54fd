package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/reissue"
)

const (
	batchSize = 500                    // jobs in one transaction
	glance    = 100 * time.Millisecond // while what is due can't be begun
	longest   = time.Second            // between two looks: the clock may be set
)

// A Writer runs a function in the store's next transaction.
type Writer interface {
	Do(f func(*commit.View) error) error
}

// A Gate before each stream is closed while it is not known that it is as it should be.
type Gate interface {
	Passed(stream string) (bool, <-chan struct{})
}

// Schedule begins with what is due. Make it with [New], have it see what the store holds ([Schedule.Watch]), tell the committer of
// [Schedule.Committed], and [Schedule.Run] it.
type Schedule struct {
	limit func(stream string) int64
	now   func() time.Time
	wake  chan struct{}

	mu    sync.Mutex
	queue *Queue
}

// New makes a schedule. limit is the max_bytes of a stream, of which what waits may take a quarter.
func New(limit func(stream string) int64, now func() time.Time) *Schedule {
	return &Schedule{limit: limit, now: now, wake: make(chan struct{}, 1), queue: NewQueue()}
}

// A Store gives what is unfinished.
type Store interface {
	EachInWindow(f func(*job.Job)) error
}

// Watch gives a store that shows s what it shows to others, so that one reading does for both.
func (s *Schedule) Watch(store Store) Store { return watched{store, s} }

type watched struct {
	store    Store
	schedule *Schedule
}

func (w watched) EachInWindow(f func(*job.Job)) error {
	return w.store.EachInWindow(func(j *job.Job) {
		w.schedule.see(j)
		f(j)
	})
}

// Committed takes over what a transaction has changed. It is given to the committer.
func (s *Schedule) Committed(c *commit.Changes) {
	first := false
	for _, j := range c.Jobs {
		first = s.see(j) || first
	}
	if !first {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Schedule) see(j *job.Job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.See(j)
}

// Full says why no more should be accepted for a stream that is to wait; empty when more may be.
func (s *Schedule) Full(stream string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit := s.limit(stream) / 4; limit > 0 && s.queue.Bytes(stream) >= limit {
		return fmt.Sprintf("what waits until it is due takes a quarter of the room of the stream %s", stream)
	}
	return ""
}

// Parts are whom a [Schedule] works with. All are required.
type Parts struct {
	Writer  Writer
	Gate    Gate
	Allowed func() bool // whether this api may do so now: another may know of the job, too
	Log     *slog.Logger
}

// Run begins with what is due until ctx ends.
func (s *Schedule) Run(ctx context.Context, p Parts) {
	open := func(name string) bool {
		passed, _ := p.Gate.Passed(name)
		return passed && p.Allowed()
	}
	for ctx.Err() == nil {
		held, err := s.begin(p.Writer, open)
		if err != nil && !errors.Is(err, commit.ErrStopped) {
			p.Log.Warn("Jobs that are due wait on", "error", err)
		}
		timer := time.NewTimer(s.rest(held || err != nil))
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// rest is how long there is nothing to do.
func (s *Schedule) rest(held bool) time.Duration {
	if held {
		return glance
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next, ok := s.queue.Next()
	if !ok {
		return longest
	}
	return min(max(next.Sub(s.now()), time.Millisecond), longest)
}

// begin has the relay ask for what is due. held: there is more.
func (s *Schedule) begin(w Writer, open func(string) bool) (held bool, err error) {
	now := s.now()
	s.mu.Lock()
	ids, held := s.queue.Due(now, batchSize, open)
	s.mu.Unlock()
	if len(ids) == 0 {
		return held, nil
	}
	return held, w.Do(func(v *commit.View) error {
		for _, id := range ids {
			if _, err := reissue.Due(v, id, now); err != nil {
				return err
			}
		}
		return nil
	})
}
