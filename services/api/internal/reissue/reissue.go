package reissue

import (
	"fmt"
	"strconv"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// Task has the relay ask a service again for its task of a job, at a generation, and reports whether it does. A task that has
// ended at that generation, one that has come further, and one whose newest accept or entry has not been relayed yet are passed over.
// The error is [job.ErrNotFound] for a job that has left.
func Task(v *commit.View, jobID, service string, generation int) (bool, error) {
	j, err := v.Job(jobID)
	if err != nil {
		return false, fmt.Errorf("reissue %s of job %s: %w", service, jobID, err)
	}
	t := j.Task(service)
	if t == nil || generation < t.Generation || t.State.Ended() && generation == t.Generation {
		return false, nil
	}
	waits, err := v.Waits(j.Stream, t.Entry)
	if err != nil {
		return false, fmt.Errorf("reissue %s of job %s: %w", service, jobID, err)
	}
	if waits {
		return false, nil
	}
	if j, err = v.Edit(jobID); err != nil {
		return false, fmt.Errorf("reissue %s of job %s: %w", service, jobID, err)
	}
	// The relay reads the event from the log when it publishes.
	key := v.NextKey()
	e := commit.Entry{
		Key: key, Stream: j.Stream, Subject: stream.RetrySubject(service, j.Type), Job: jobID,
		MsgID: jobID + "." + service + "." + strconv.FormatUint(key, 10), // used for no other message, whatever was asked before
	}
	if generation > 0 {
		e.Header = map[string]string{stream.HeaderGeneration: strconv.Itoa(generation)}
	}
	j.Task(service).Entry = v.AddEntry(e)
	return true, nil
}

// End ends a task that no message has ever asked for, as of now, and reports whether it was such a one. Its job was rebuilt from
// messages for its other tasks; this one's had been taken away before, which happens to what has ended only.
func End(v *commit.View, jobID, service string, now time.Time) (bool, error) {
	j, err := v.Job(jobID)
	if err != nil {
		return false, fmt.Errorf("end %s of job %s: %w", service, jobID, err)
	}
	if t := j.Task(service); t == nil || !t.Unasked() {
		return false, nil
	}
	if j, err = v.Edit(jobID); err != nil {
		return false, fmt.Errorf("end %s of job %s: %w", service, jobID, err)
	}
	t := j.Task(service)
	t.State, t.Ended = event.Succeeded, &now
	return true, nil
}
