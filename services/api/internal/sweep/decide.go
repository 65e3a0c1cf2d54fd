package sweep

import (
	"time"

	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// An Action is what to do with a task that has not changed for a while.
type Action int

// The actions there are.
const (
	// Wait does nothing: the task waits for its turn, or is being done.
	Wait Action = iota
	// Look reads the task's record and decides anew.
	Look
	// Project has the store take over what the record says.
	Project
	// Reissue asks for the task again.
	Reissue
	// End ends what no message has ever asked for.
	End
)

func (a Action) String() string { return [...]string{"wait", "look", "project", "reissue", "end"}[a] }

// An Input is everything that a decision depends on.
type Input struct {
	Now       time.Time // the server's
	Task      job.Task
	Later     bool   // its job is not due
	Waits     bool   // the relay has not published its newest accept or entry yet
	Delivered uint64 // sequence up to which the service's consumer has been given messages
	// Alive is how recently a record must have been written for its task to be in somebody's hands, and how late a retry may be.
	Alive time.Duration

	Looked bool      // whether the record has been read
	Seen   *job.Seen // what was read; nil when there is none
}

// Decide is the one rule by which tasks at rest are asked for again.
func Decide(in Input) Action {
	t := in.Task
	switch {
	case t.State.Ended():
		return Wait
	case t.Unasked():
		return End
	case in.Later && !in.Waits && t.Message == 0:
		return Reissue // for later
	case in.Later, in.Waits, t.Message > in.Delivered:
		return Wait // its message will come to the service; who is stopped or slow is no reason for a second one
	case !in.Looked:
		return Look
	case in.Seen == nil, in.Seen.Record.Generation < t.Generation:
		return Reissue
	}
	if _, news := job.Fold(t, *in.Seen); news {
		return Project
	}
	r := in.Seen.Record
	late := in.Now.Add(-in.Alive)
	if in.Seen.At.After(late) || r.State == event.Retrying && r.Due != nil && r.Due.After(late) {
		return Wait
	}
	return Reissue
}
