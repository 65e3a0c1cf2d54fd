package trim

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

const (
	maxSettle = 50_000 // jobs in one look
	maxWalk   = 20_000 // rows in one look
	page      = 1000
)

// A Verdict is what becomes of a job that is off the window.
type Verdict int

// The verdicts.
const (
	Stay  Verdict = iota
	Leave         // it has been kept for long enough
	Stop          // it stays, and so do all that were accepted after it
)

// Leaves decides about a job that is off the window. excess is how many more than [Limits.JobMax] there are; those ended before
// expired are kept no longer. Dead ones stay: somebody may still want to look at them.
func Leaves(j *job.Job, excess int64, expired, now time.Time) Verdict {
	ended := j.Ended()
	switch {
	case !j.State().Ended(), j.State() == event.Dead:
		return Stay
	case excess > 0, ended == nil, ended.Before(expired):
		return Leave
	case j.Created.Before(expired), j.Created.After(now):
		return Stay // it took long, or its time is made up: those after it may well be done with
	}
	return Stop
}

// Pruner takes jobs off the window, and the oldest out of the store. It walks through the store in order and goes on where it
// stopped; from time to time it begins again, for those that had to stay.
type Pruner struct {
	shelf  Shelf
	writer Writer
	log    *slog.Logger
	limits Limits

	cursor uint64    // log key of the last job that was looked at
	lap    time.Time // when the walk began
	dead   []uint64  // log keys of dead jobs that are off the window, in order
	census uint64    // up to where they have been counted since the start
	known  bool      // all have

	mu       sync.Mutex
	returned []uint64 // log keys of jobs that are on the window again, and may be among dead
}

// Committed takes over which jobs a transaction has put back on the window. It is given to the committer.
func (p *Pruner) Committed(c *commit.Changes) {
	if len(c.Returned) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.returned = append(p.returned, c.Returned...)
}

// alive takes from the dead those that are on the window again.
func (p *Pruner) alive() {
	p.mu.Lock()
	returned := p.returned
	p.returned = nil
	p.mu.Unlock()
	if len(returned) == 0 {
		return
	}
	slices.Sort(returned)
	p.dead = slices.DeleteFunc(p.dead, func(k uint64) bool {
		_, there := slices.BinarySearch(returned, k)
		return there
	})
}

// NewPruner makes a pruner of what is on a shelf.
func NewPruner(s Shelf, w Writer, log *slog.Logger, l Limits) *Pruner {
	return &Pruner{shelf: s, writer: w, log: log, limits: l.withDefaults()}
}

// Settle takes jobs off the window, unless something has been asked of them since they were seen.
func (p *Pruner) Settle(seen *Seen, jobs []Job) error {
	p.alive()
	for batch := range chunks(jobs[:min(len(jobs), maxSettle)]) {
		var settled []*job.Job
		err := p.writer.Do(func(v *commit.View) error {
			for _, o := range batch {
				j, err := v.Job(o.ID)
				if errors.Is(err, job.ErrNotFound) {
					continue
				}
				if err != nil {
					return fmt.Errorf("settle job %s: %w", o.ID, err)
				}
				if gone(j, seen.Streams[o.Stream]) && newest(j) == o.Entry {
					settled = append(settled, j)
				}
			}
			for _, j := range settled {
				v.Settle(j.Key)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, j := range settled {
			if j.State() == event.Dead {
				p.addDead(j.Key)
			}
		}
	}
	return nil
}

// gone reports whether all of a job has ended and no message of it is left, nor can come back.
func gone(j *job.Job, s *Stream) bool {
	if j.Key > s.Position || !j.State().Ended() {
		return false
	}
	for i := range j.Tasks {
		if j.Tasks[i].Message >= s.Oldest || j.Tasks[i].Untold {
			return false
		}
	}
	return true
}

// back reports whether a job that is off the window may have a message again. (A sequence beyond the end is of a stream that is no
// more.)
func back(j *job.Job, s *Stream) bool {
	if s == nil || j.Key > s.Position {
		return true
	}
	for i := range j.Tasks {
		if m := j.Tasks[i].Message; m >= s.Oldest && m <= s.Last {
			return true
		}
	}
	return false
}

func newest(j *job.Job) (entry uint64) {
	for i := range j.Tasks {
		entry = max(entry, j.Tasks[i].Entry)
	}
	return entry
}

func (p *Pruner) addDead(k uint64) {
	if at, there := slices.BinarySearch(p.dead, k); !there {
		p.dead = slices.Insert(p.dead, at, k)
	}
}

// Prune has jobs leave that were kept for long enough, if the store knows all that is in the streams.
func (p *Pruner) Prune(seen *Seen, now time.Time) error {
	for _, name := range stream.WorkStreams() {
		if s := seen.Streams[name]; s == nil || !s.AtEnd() || s.Oldest == 0 {
			return nil
		}
	}
	if err := p.count(); err != nil {
		return err
	}
	if err := p.pruneDead(seen); err != nil {
		return err
	}
	size, err := p.shelf.Size()
	if err != nil {
		return err
	}
	return p.walk(seen, size.Jobs-p.limits.JobMax, now)
}

// walk goes on through the store until nothing more is due.
func (p *Pruner) walk(seen *Seen, excess int64, now time.Time) error {
	if now.Sub(p.lap) >= p.limits.Grace {
		p.cursor, p.lap = 0, now
	}
	expired := now.Add(-p.limits.JobRetention)
	for size, walked := 10, 0; walked < maxWalk; size = page { // mostly the first one is not due
		walked += size
		found, next, err := p.shelf.OffWindow(p.cursor, size)
		if err != nil {
			return err
		}
		if next == p.cursor {
			return nil
		}
		var leave []*job.Job
		stop := false
		for _, j := range found {
			switch Leaves(j, excess-int64(len(leave)), expired, now) {
			case Leave:
				leave = append(leave, j)
			case Stop:
				stop = true
			}
			if stop {
				next = max(j.Key, 1) - 1
				break
			}
		}
		left, err := p.remove(seen, leave, nil)
		if err != nil {
			return err
		}
		excess -= int64(left)
		p.cursor = next
		if stop {
			return nil
		}
	}
	return nil
}

// remove has those of jobs leave that may, and tells how many did. each, if any, is called for these once they have.
func (p *Pruner) remove(seen *Seen, jobs []*job.Job, each func(*job.Job)) (left int, err error) {
	for batch := range chunks(jobs) {
		var pruned []*job.Job
		err := p.writer.Do(func(v *commit.View) error {
			for _, old := range batch {
				j, err := v.Job(old.ID)
				if errors.Is(err, job.ErrNotFound) {
					continue
				}
				if err != nil {
					return fmt.Errorf("prune job %s: %w", old.ID, err)
				}
				waits, err := v.Waits(j.Stream, newest(j))
				if err != nil {
					return fmt.Errorf("prune job %s: %w", old.ID, err)
				}
				if !waits && j.State() == old.State() && !back(j, seen.Streams[j.Stream]) {
					pruned = append(pruned, j)
				}
			}
			for _, j := range pruned {
				v.Prune(j)
			}
			return nil
		})
		if err != nil {
			return left, err
		}
		left += len(pruned)
		for _, j := range pruned {
			if each != nil {
				each(j)
			}
		}
	}
	return left, nil
}

// count finds, a few pages a look, the dead jobs that were off the window before the start.
func (p *Pruner) count() error {
	for i := 0; i < maxWalk/page && !p.known; i++ {
		found, next, err := p.shelf.OffWindow(p.census, page)
		if err != nil {
			return err
		}
		for _, j := range found {
			if j.State() == event.Dead {
				p.addDead(j.Key)
			}
		}
		p.known = next == p.census
		p.census = next
	}
	return nil
}

// pruneDead has the oldest dead jobs leave when there are too many.
func (p *Pruner) pruneDead(seen *Seen) error {
	p.alive()
	n := min(len(p.dead)-p.limits.DeadMax, maxWalk/10)
	if n <= 0 || !p.known {
		return nil
	}
	var dead []*job.Job
	for _, k := range p.dead[:n] {
		j, err := p.shelf.JobByKey(k)
		if errors.Is(err, job.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if j.State() == event.Dead {
			dead = append(dead, j)
		}
	}
	if _, err := p.remove(seen, dead, func(j *job.Job) {
		p.log.Warn("Dead job leaves the store: there are too many", "job", j.ID)
	}); err != nil {
		return err
	}
	p.dead = slices.Delete(p.dead, 0, n)
	return nil
}
