package job

import (
	"time"

	"handoff/shared/event"
)

// A Seen is a task's record as it was read from its bucket.
type Seen struct {
	Record   *event.Record
	Revision uint64
	At       time.Time // when the server stored it
}

// Fold gives what is known of a task once a record of it has been read, and whether that is anything new. Records may be
// read late, twice and out of order: what is known never goes backwards. Within a generation an end is final; else the
// later in (generation, ended, claim, running before retrying) stands. Where the record is, Revision and Touched, is taken from the
// latest that says as much as is known.
func Fold(t Task, s Seen) (Task, bool) {
	r := s.Record
	switch compare(r, &t) {
	case -1:
		return t, false
	case 0:
		// By the time, not by the revision: that begins again in a bucket that was lost and made anew.
		later := s.At.After(t.Touched) || s.At.Equal(t.Touched) && s.Revision > t.Revision
		if !later {
			return t, false
		}
		if !t.State.Ended() {
			t.Progress = r.Progress
		}
		t.Touched, t.Revision = s.At, s.Revision
		return t, true
	}
	return Task{
		Service: t.Service, Name: t.Name, State: r.State, Generation: r.Generation, Claim: r.Claim, Attempt: r.Attempt,
		Due: r.Due, Progress: r.Progress, Result: r.Result, Error: r.Error, Started: r.Started, Ended: r.Ended,
		Trace: r.TraceParent, Steps: r.Steps,
		Entry: t.Entry, Message: t.Message, Revision: s.Revision, Touched: s.At,
	}, true
}

// Behind reports whether a record says less than what is known of its task, or has another end of the same generation, and is to be
// replaced. A running one of the task's own generation is not, while the task has not ended: after a power loss its claim may count
// less than is known, and yet its holder lives and must not be refused its end.
func Behind(r *event.Record, t *Task) bool {
	if r.State == event.Running && r.Generation == t.Generation && !t.State.Ended() {
		return false
	}
	return compare(r, t) < 0 || t.State.Ended() && r.Generation == t.Generation && r.State != t.State
}

// Record is the record of a task that its bucket has lost. What had not ended may be begun again at now.
func Record(t *Task, now time.Time) *event.Record {
	r := &event.Record{
		State: t.State, Generation: t.Generation, Claim: t.Claim, Attempt: t.Attempt, Progress: t.Progress, Result: t.Result,
		Error: t.Error, Started: t.Started, Ended: t.Ended, TraceParent: t.Trace, Steps: t.Steps,
	}
	if !t.State.Ended() {
		now = now.UTC()
		r.State, r.Due = event.Retrying, &now
	}
	return r
}

// compare says whether the record says less than (-1), as much as (0) or more than (1) what is known.
func compare(r *event.Record, t *Task) int {
	switch {
	case r.Generation != t.Generation:
		return sign(r.Generation - t.Generation)
	case r.State.Ended() != t.State.Ended():
		return sign(rank(r.State) - rank(t.State))
	case r.State.Ended():
		return 0 // between two ends of one generation ours stands
	case r.Claim != t.Claim:
		return sign(r.Claim - t.Claim)
	}
	return sign(rank(r.State) - rank(t.State))
}

func rank(s State) int {
	switch s {
	case event.Queued:
		return 0
	case event.Running:
		return 1
	case event.Retrying:
		return 2
	}
	return 3
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
