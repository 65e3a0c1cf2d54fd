package job

import (
	"errors"
	"fmt"
	"time"

	"handoff/shared/event"
)

// ErrEnded is returned for what can't be done any more because a job has ended.
var ErrEnded = errors.New("the job has ended")

// Cancel is what a task that has not ended becomes when it is cancelled: cancelled, at its generation. Its record does not say so yet.
func Cancel(t Task, now time.Time) Task {
	now = now.UTC()
	known := Seen{Record: &event.Record{State: t.State, Attempt: t.Attempt, Error: t.Error, Steps: t.Steps}}
	t.State, t.Ended, t.Due, t.Untold = event.Cancelled, &now, nil, true
	return withCancel(t, known.Record)
}

// Overrule is what is known of a cancelled task once its record has been read, which knows better what it had come to. It stays
// cancelled, whatever the record says of its generation.
func Overrule(t Task, r *event.Record) Task {
	if r.Generation != t.Generation {
		return t
	}
	t.Claim, t.Attempt, t.Progress, t.Result, t.Started = r.Claim, r.Attempt, r.Progress, r.Result, r.Started
	if r.TraceParent != "" {
		t.Trace = r.TraceParent
	}
	if r.State == event.Cancelled {
		t.Error, t.Steps = r.Error, r.Steps
		return t
	}
	return withCancel(t, r)
}

// withCancel adds to the steps of a record that its task was cancelled, and says what was done before.
func withCancel(t Task, before *event.Record) Task {
	note := ""
	switch before.State {
	case event.Running:
		note = fmt.Sprintf("cancelled while attempt %d ran: what it had done stays done", before.Attempt)
	case event.Succeeded:
		note = fmt.Sprintf("cancelled, but attempt %d succeeded before it heard of that: what it did stays done", before.Attempt)
	}
	t.Error = before.Error
	if note != "" {
		t.Error = note
	}
	r := event.Record{State: event.Cancelled, Attempt: before.Attempt, Steps: before.Steps}
	r.AddStep(*t.Ended, note)
	t.Steps = r.Steps
	return t
}
