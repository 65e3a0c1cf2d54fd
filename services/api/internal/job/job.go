package job

import (
	"encoding/json"
	"errors"
	"time"

	"handoff/shared/event"
	"handoff/shared/stream"
)

// Scheduled is the state of a job that waits until it is due.
const Scheduled State = "scheduled"

// ErrNotFound is returned for a job that is not known (any more).
var ErrNotFound = errors.New("no such job")

// A State is where a job stands: [Scheduled] until it is due, [event.Queued] or [event.Running] until every task has ended, then one of
// [event.Succeeded], [event.Dead] and [event.Cancelled].
type State = event.State

// A Job is one accepted event and the state of each task that it asks for.
type Job struct {
	ID      string     `json:"id"`
	Type    event.Type `json:"type"`
	Key     uint64     `json:"key"`    // of its accept in the log
	Stream  string     `json:"stream"` // the work stream that its event waits in
	Created time.Time  `json:"created"`
	Tasks   []Task     `json:"tasks"`

	Due      *time.Time `json:"due,omitempty"`       // not to be begun before
	NotAfter *time.Time `json:"not_after,omitempty"` // not to be begun after
	Waits    bool       `json:"waits,omitempty"`     // nobody has been asked yet, because it is not due
	Size     int        `json:"size,omitempty"`      // of the event of one that was to wait, in bytes
}

// A Task is what one service does for a job, as far as the api has heard.
type Task struct {
	Service    string          `json:"service"`
	Name       string          `json:"name,omitempty"`
	State      State           `json:"state"`
	Generation int             `json:"generation,omitempty"`
	Claim      int             `json:"claim,omitempty"`
	Attempt    int             `json:"attempt,omitempty"`
	Due        *time.Time      `json:"due,omitempty"`
	Progress   *event.Progress `json:"progress,omitempty"`
	Result     json.RawMessage `json:"result,omitempty"`
	Error      string          `json:"error,omitempty"`
	Started    *time.Time      `json:"started,omitempty"`
	Ended      *time.Time      `json:"ended,omitempty"`
	Trace      string          `json:"trace,omitempty"` // W3C traceparent of the last attempt
	Steps      []event.Step    `json:"steps,omitempty"`

	Entry    uint64 `json:"entry,omitempty"`    // log key of the newest accept or entry that asks for it; 0 while none does
	Message  uint64 `json:"message,omitempty"`  // sequence of the newest message that addresses it
	Revision uint64 `json:"revision,omitempty"` // of its record, as last read
	// Untold is whether the task was cancelled here and its record is still to say so.
	Untold bool `json:"untold,omitempty"`
	// Touched is when the record was last written, by the server's clock.
	Touched time.Time `json:"touched,omitzero"`
}

// New is the job of an event as it is accepted, under a log key: every task queued. A service that has nothing to do with
// such events can't do its task, which is dead at once.
func New(e *event.Envelope, waitsIn string, key uint64, services []string) *Job {
	j := &Job{ID: e.ID, Type: e.Type, Key: key, Stream: waitsIn, Created: e.Time, Due: e.Due, NotAfter: e.NotAfter, Tasks: make([]Task, 0, len(services))}
	for _, s := range services {
		t := Task{Service: s, Name: stream.TaskName(s, e.Type), State: event.Queued, Entry: key}
		if t.Name == "" {
			at := e.Time
			t.State, t.Ended, t.Error = event.Dead, &at, "no service "+s+" does anything for "+string(e.Type)
		}
		j.Tasks = append(j.Tasks, t)
	}
	return j
}

// State is the job's own, derived from its tasks: scheduled while it waits until it is due, else queued or running while any has not ended; else dead if one is dead,
// else cancelled if one is, else succeeded.
func (j *Job) State() State {
	running, dead, cancelled, ended := false, false, false, true
	for i := range j.Tasks {
		switch s := j.Tasks[i].State; s {
		case event.Dead:
			dead = true
		case event.Cancelled:
			cancelled = true
		case event.Succeeded:
			running = true // begun, if another is still to come
		default:
			ended = false
			running = running || s != event.Queued
		}
	}
	switch {
	case !ended && (running || dead || cancelled):
		return event.Running
	case !ended && j.Waits:
		return Scheduled
	case !ended:
		return event.Queued
	case dead:
		return event.Dead
	case cancelled:
		return event.Cancelled
	}
	return event.Succeeded
}

// Ended is when the last task ended; nil while one has not.
func (j *Job) Ended() *time.Time {
	var last *time.Time
	for i := range j.Tasks {
		t := &j.Tasks[i]
		if !t.State.Ended() {
			return nil
		}
		if t.Ended != nil && (last == nil || t.Ended.After(*last)) {
			last = t.Ended
		}
	}
	return last
}

// Task finds the task of a service; nil when the job does not ask for it.
func (j *Job) Task(service string) *Task {
	for i := range j.Tasks {
		if j.Tasks[i].Service == service {
			return &j.Tasks[i]
		}
	}
	return nil
}

// A Query selects jobs. Empty fields select all.
type Query struct {
	State   State
	Service string
	Type    event.Type
	Dead    *Dead  // those with such a task; nil selects all
	After   string // a job's id: only those older than it
	Limit   int
}

// Selects reports whether j is one of those that q asks for; After and Limit are the store's business.
func (q Query) Selects(j *Job) bool {
	return (q.State == "" || j.State() == q.State) &&
		(q.Type == "" || j.Type == q.Type) &&
		(q.Service == "" || j.Task(q.Service) != nil) &&
		(q.Dead == nil || q.Dead.Count(j) > 0)
}
