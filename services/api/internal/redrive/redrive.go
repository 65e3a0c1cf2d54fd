package redrive

import (
	"context"

	"handoff/services/api/internal/job"
)

const (
	page  = 2000 // jobs looked at in one go
	batch = 50   // jobs changed in one transaction: accepts wait for it
)

// A Store has the jobs.
type Store interface {
	// DeadJobs looks at up to limit jobs, the oldest first, from the one after a log key, and gives those with a dead task. next is the
	// log key of the last one it looked at; after itself when there are no more.
	DeadJobs(after uint64, limit int) (found []*job.Job, next uint64, err error)
}

// A Retrier has dead tasks done again.
type Retrier interface {
	// May says why nothing more may be asked of a stream's services; nil when it may.
	May(stream string) error
	// RetryDead has those tasks of some jobs done again, in one transaction, that are dead as which says, and counts them.
	RetryDead(jobIDs []string, which *job.Dead) (jobs, tasks int, err error)
}

// Counts are how many were done again, or would be.
type Counts struct {
	Jobs, Tasks int
	More        bool // there are more of them than the limit
}

// Redriver redrives. Make it with [New].
type Redriver struct {
	store   Store
	retrier Retrier
}

// New makes a redriver of what is dead in a store.
func New(s Store, r Retrier) *Redriver { return &Redriver{s, r} }

// Count tells what Redrive would do. It asks nobody for permission.
func (r *Redriver) Count(ctx context.Context, which *job.Dead, limit int) (c Counts, err error) {
	c.More, err = r.each(ctx, which, limit, func(jobs []*job.Job) (int, error) {
		for _, j := range jobs {
			c.Tasks += which.Count(j)
		}
		c.Jobs += len(jobs)
		return len(jobs), nil
	})
	return c, err
}

// Redrive has the dead tasks that which selects done again, of at most limit jobs, the oldest first. A job is looked at once: what
// dies again meanwhile stays dead. The counts are right also with an error, which is one of those of an accept.
func (r *Redriver) Redrive(ctx context.Context, which *job.Dead, limit int) (c Counts, err error) {
	c.More, err = r.each(ctx, which, limit, func(jobs []*job.Job) (int, error) {
		ids := make([]string, len(jobs))
		for i, j := range jobs {
			if err := r.retrier.May(j.Stream); err != nil {
				return 0, err
			}
			ids[i] = j.ID
		}
		n, tasks, err := r.retrier.RetryDead(ids, which)
		c.Jobs, c.Tasks = c.Jobs+n, c.Tasks+tasks
		return n, err
	})
	return c, err
}

// each calls f for the jobs with a task that which selects, some at a time, until f has taken limit of them. It reports whether there
// are more.
func (r *Redriver) each(ctx context.Context, which *job.Dead, limit int, f func([]*job.Job) (int, error)) (more bool, err error) {
	for after := uint64(0); ; {
		found, next, err := r.store.DeadJobs(after, page)
		if err != nil {
			return false, err
		}
		for len(found) > 0 {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			var some []*job.Job
			some, found = take(found, which, min(batch, max(limit, 1)))
			switch {
			case len(some) == 0:
				continue
			case limit == 0:
				return true, nil
			}
			n, err := f(some)
			if err != nil {
				return false, err
			}
			limit -= n
		}
		if next == after {
			return false, nil
		}
		after = next
	}
}

// take gives the first of the jobs with a task that which selects, at most n, and what comes after them.
func take(jobs []*job.Job, which *job.Dead, n int) (some, rest []*job.Job) {
	for i, j := range jobs {
		if len(some) == n {
			return some, jobs[i:]
		}
		if which.Count(j) > 0 {
			some = append(some, j)
		}
	}
	return some, nil
}
