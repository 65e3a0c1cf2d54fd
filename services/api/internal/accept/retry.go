package accept

import (
	"context"
	"errors"
	"slices"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/reissue"
	"handoff/shared/event"
)

// Retry has the dead and the cancelled tasks of a job done again, and no other. The same request with the same key does so once. The
// error is [job.ErrNotFound], [ErrNothingDead] or one of those of an accept.
func (a *Accepter) Retry(_ context.Context, key Key, jobID string) error {
	now := a.now().UTC()
	if err := a.refused(); err != nil {
		return err
	}
	return a.write(key, func(v *commit.View) error {
		if before, err := a.earlier(v, key, now); before != nil || err != nil {
			return err
		}
		j, err := v.Job(jobID)
		if err != nil {
			return err
		}
		if err := a.May(j.Stream); err != nil {
			return err
		}
		if slices.ContainsFunc(j.Tasks, func(t job.Task) bool { return t.Untold && t.State == event.Cancelled }) {
			return &UnavailableError{Reason: "its cancel is still on its way to who does it", RetryAfter: time.Second}
		}
		n, err := reissue.Redrive(v, jobID, nil)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNothingDead
		}
		if !key.none() {
			v.AddRequest(commit.Keyed{Key: v.NextKey(), Job: jobID, Hash: key.hash, Request: key.request, At: now})
		}
		return nil
	})
}

// RetryDead does the same for those tasks of some jobs that are dead as which says, in one transaction, and tells how many jobs and
// tasks these are. Jobs that have left are passed over.
func (a *Accepter) RetryDead(jobIDs []string, which *job.Dead) (jobs, tasks int, err error) {
	err = a.write(Key{}, func(v *commit.View) error {
		for _, id := range jobIDs {
			n, err := reissue.Redrive(v, id, which.Selects)
			if errors.Is(err, job.ErrNotFound) {
				continue
			}
			if err != nil {
				return err // those before it are kept, as they are by any other end
			}
			if n > 0 {
				jobs, tasks = jobs+1, tasks+n
			}
		}
		return nil
	})
	return jobs, tasks, err
}

// May says why nothing more may be asked of a stream's services; nil when it may.
func (a *Accepter) May(stream string) error {
	if err := a.refused(); err != nil {
		return err
	}
	if why := a.backlog.Full(stream); why != "" {
		return &UnavailableError{Reason: why, RetryAfter: 5 * time.Second}
	}
	return nil
}
