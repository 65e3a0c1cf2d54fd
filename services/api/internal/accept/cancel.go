package accept

import (
	"context"
	"fmt"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
)

// Cancel takes back what has not ended of a job, and gives the job. The error is [job.ErrNotFound], [job.ErrEnded], or one of this
// package.
func (a *Accepter) Cancel(_ context.Context, id string) (*job.Job, error) {
	if err := a.refused(); err != nil {
		return nil, err
	}
	var j *job.Job
	err := a.writer.Do(func(v *commit.View) (err error) {
		j, err = Cancel(v, id, a.now())
		return err
	})
	if err != nil {
		return nil, explain(err)
	}
	return j, nil
}

// Cancel cancels every task of a job that has not ended, and gives the job. The error is [job.ErrEnded] when there is none, and
// [job.ErrNotFound] when there is no such job.
func Cancel(v *commit.View, id string, now time.Time) (*job.Job, error) {
	j, err := v.Job(id)
	if err != nil {
		return nil, fmt.Errorf("cancel job %s: %w", id, err)
	}
	if j.State().Ended() {
		return nil, fmt.Errorf("cancel job %s: %w", id, job.ErrEnded)
	}
	if j, err = v.Edit(id); err != nil {
		return nil, fmt.Errorf("cancel job %s: %w", id, err)
	}
	j.Waits = false
	for i := range j.Tasks {
		if !j.Tasks[i].State.Ended() {
			j.Tasks[i] = job.Cancel(j.Tasks[i], now)
		}
	}
	return j, nil
}
