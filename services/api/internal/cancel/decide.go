package cancel

import (
	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// Decide says what to do about the record of a cancelled task, given the record as it was read, nil for none: whether it is to be
// replaced, and what is then known of the task, which is what the record becomes. A record that says the same, or is of a later
// generation, stays.
func Decide(t job.Task, r *event.Record) (next job.Task, write bool) {
	if r == nil {
		return t, true
	}
	return job.Overrule(t, r), r.Generation < t.Generation || r.Generation == t.Generation && r.State != event.Cancelled
}
