package backlog

import (
	"fmt"
	"sync"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// A Row is what there is to know of one task without asking the store.
type Row struct {
	Job      string // id
	Key      uint64 // of the job, in the log
	Stream   string
	Type     event.Type
	Service  string
	State    event.State
	Begun    bool // a record of it was read, or it was asked for again
	Entry    uint64
	Message  uint64
	Revision uint64
	Waits    bool // it is not due yet
	Untold   bool // it was cancelled, and its record is still to say so
	Gen      int
	Due      time.Time // of a retrying task; zero for none
	Touched  time.Time // when its record was last written, by the server's clock
	Changed  time.Time // when the store last took a change of the task, by ours
}

// Ended reports whether the task has ended.
func (r *Row) Ended() bool { return r.State.Ended() }

// A Store gives what to begin with.
type Store interface {
	EachInWindow(f func(*job.Job)) error
}

// Backlog is the table of rows. Make it with [Load], and give [Backlog.Committed] to the committer.
type Backlog struct {
	now func() time.Time

	mu   sync.Mutex
	jobs map[uint64][]Row // by the job's log key
}

// Load makes a backlog of what the store holds.
func Load(s Store, now func() time.Time) (*Backlog, error) {
	b := &Backlog{now: now, jobs: map[uint64][]Row{}}
	at := now()
	if err := s.EachInWindow(func(j *job.Job) { b.jobs[j.Key] = rows(j, nil, at) }); err != nil {
		return nil, fmt.Errorf("read what is unfinished: %w", err)
	}
	return b, nil
}

// Committed takes over what a transaction has changed. It is given to the committer.
func (b *Backlog) Committed(c *commit.Changes) {
	at := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range c.Accepts {
		b.jobs[c.Accepts[i].Key] = nil // new on the window
	}
	for _, k := range c.Returned {
		b.jobs[k] = nil
	}
	for _, j := range c.Jobs {
		if known, on := b.jobs[j.Key]; on {
			b.jobs[j.Key] = rows(j, known, at)
		}
	}
	for _, k := range c.Settled {
		delete(b.jobs, k)
	}
	for _, j := range c.Pruned {
		delete(b.jobs, j.Key)
	}
}

// Each calls f for every row, in no order, until f returns false. f must not keep the row, nor call the backlog.
func (b *Backlog) Each(f func(*Row) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rs := range b.jobs {
		for i := range rs {
			if !f(&rs[i]) {
				return
			}
		}
	}
}

// Len is how many jobs there are.
func (b *Backlog) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.jobs)
}

// rows gives those of a job. What has not changed since known keeps its time.
func rows(j *job.Job, known []Row, at time.Time) []Row {
	rs := make([]Row, len(j.Tasks))
	for i := range j.Tasks {
		t := &j.Tasks[i]
		rs[i] = Row{
			Job: j.ID, Key: j.Key, Stream: j.Stream, Type: j.Type, Service: t.Service, State: t.State,
			Begun: t.Claim > 0 || t.Generation > 0, Entry: t.Entry, Message: t.Message, Revision: t.Revision,
			Waits: j.Waits && !t.State.Ended(), Untold: t.Untold && t.State.Ended(), Gen: t.Generation, Touched: t.Touched, Changed: at,
		}
		if t.Due != nil && t.State == event.Retrying {
			rs[i].Due = *t.Due
		}
		if i < len(known) {
			same := known[i]
			same.Changed = at
			if same == rs[i] {
				rs[i].Changed = known[i].Changed
			}
		}
	}
	return rs
}
