package job

import (
	"strings"
	"time"

	"handoff/shared/event"
)

// A Dead selects dead tasks. Empty fields select all.
type Dead struct {
	Service     string
	Task        string // its name
	Type        event.Type
	Error       string    // part of the last error, whatever its case
	From, Until time.Time // of the end; Until is the first moment that is too late
}

// Selects reports whether a task of j is one of those that d asks for.
func (d *Dead) Selects(j *Job, t *Task) bool {
	switch {
	case t.State != event.Dead,
		d.Service != "" && d.Service != t.Service,
		d.Task != "" && d.Task != t.Name,
		d.Type != "" && d.Type != j.Type,
		d.Error != "" && !strings.Contains(strings.ToLower(t.Error), strings.ToLower(d.Error)):
		return false
	case d.From.IsZero() && d.Until.IsZero():
		return true
	case t.Ended == nil:
		return false
	}
	return !t.Ended.Before(d.From) && (d.Until.IsZero() || t.Ended.Before(d.Until))
}

// Count is how many tasks of j are such.
func (d *Dead) Count(j *Job) (n int) {
	for i := range j.Tasks {
		if d.Selects(j, &j.Tasks[i]) {
			n++
		}
	}
	return n
}
