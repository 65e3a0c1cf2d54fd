package reissue

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/stream"
)

// LaterID is the Nats-Msg-Id of a message that waits until its job is due.
func LaterID(jobID string, key uint64) string { return jobID + ".later." + strconv.FormatUint(key, 10) }

// later has the relay put the event of a job that is not due into its stream again. j is being edited.
func later(v *commit.View, j *job.Job) {
	key := v.NextKey()
	askAll(v, j, commit.Entry{Key: key, Subject: stream.LaterSubject(j.Type), MsgID: LaterID(j.ID, key)})
}

// askAll adds an entry that asks for every task of a job that has not ended.
func askAll(v *commit.View, j *job.Job, e commit.Entry) {
	e.Stream, e.Job = j.Stream, j.ID
	key := v.AddEntry(e)
	for i := range j.Tasks {
		if !j.Tasks[i].State.Ended() {
			j.Tasks[i].Entry = key
		}
	}
}

// Due has the relay publish the event of a job that has waited until now, and reports whether it does: a job that has ended, or has not
// waited, is passed over. The message has the job's own id, which is used once in its life.
func Due(v *commit.View, jobID string, now time.Time) (bool, error) {
	j, err := v.Job(jobID)
	if errors.Is(err, job.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("begin with job %s: %w", jobID, err)
	}
	if j.State() != job.Scheduled || j.Due.After(now) {
		return false, nil
	}
	if j, err = v.Edit(jobID); err != nil {
		return false, fmt.Errorf("begin with job %s: %w", jobID, err)
	}
	j.Waits = false
	services := make([]string, len(j.Tasks))
	for i := range j.Tasks {
		services[i] = j.Tasks[i].Service
	}
	askAll(v, j, commit.Entry{Subject: stream.Subject(j.Type, services), MsgID: j.ID})
	return true, nil
}
