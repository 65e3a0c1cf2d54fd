package reissue

import (
	"fmt"
	"strconv"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// Task has the relay ask a service again for its task of a job, at a generation, and reports whether it does. A job that is not due has
// one message for all of its tasks, which waits. A task that has
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
	if j.Waits {
		later(v, j)
	} else {
		ask(v, j, j.Task(service), generation)
	}
	return true, nil
}

// ask has the relay ask for a task of a job that is being edited. The relay reads the event from the log when it publishes.
func ask(v *commit.View, j *job.Job, t *job.Task, generation int) {
	key := v.NextKey()
	e := commit.Entry{
		Key: key, Stream: j.Stream, Subject: stream.RetrySubject(t.Service, j.Type), Job: j.ID,
		MsgID: j.ID + "." + t.Service + "." + strconv.FormatUint(key, 10), // used for no other message, whatever was asked before
	}
	if generation > 0 {
		e.Header = map[string]string{stream.HeaderGeneration: strconv.Itoa(generation)}
	}
	t.Entry = v.AddEntry(e)
}

// Redrive has the relay ask again, one generation up, for those tasks of a job that are dead or cancelled and that pick picks (nil: all).
// It reports how many there are. A task that no service does any more stays as it is. The error is [job.ErrNotFound] for a job that
// has left; nothing is changed then.
func Redrive(v *commit.View, jobID string, pick func(*job.Job, *job.Task) bool) (int, error) {
	j, err := v.Job(jobID)
	if err != nil {
		return 0, fmt.Errorf("redrive job %s: %w", jobID, err)
	}
	var picked []int
	for i := range j.Tasks {
		t := &j.Tasks[i]
		if t.Redrivable() && stream.TaskName(t.Service, j.Type) != "" && (pick == nil || pick(j, t)) {
			picked = append(picked, i)
		}
	}
	if len(picked) == 0 {
		return 0, nil
	}
	if j, err = v.Edit(jobID); err != nil {
		return 0, fmt.Errorf("redrive job %s: %w", jobID, err)
	}
	for _, i := range picked {
		t := &j.Tasks[i]
		*t = job.Again(*t, t.Generation+1)
		t.Name = stream.TaskName(t.Service, j.Type)
		ask(v, j, t, t.Generation)
	}
	return len(picked), nil
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
