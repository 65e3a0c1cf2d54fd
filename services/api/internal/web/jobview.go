package web

import (
	"encoding/json"
	"time"

	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// pictureService is whose task ends in a picture.
const pictureService = "imager"

type jobView struct {
	ID        string     `json:"id" example:"0199f3c1-6f0e-7c3a-9d55-1e3a7b3cad22"`
	Type      event.Type `json:"type" doc:"What happened" example:"user.created"`
	State     job.State  `json:"state" enum:"scheduled,queued,running,succeeded,dead,cancelled" doc:"scheduled until it is due, queued or running until every task has ended"`
	CreatedAt time.Time  `json:"created_at" doc:"When it was accepted" example:"2026-03-01T12:00:00.123456Z"`
	RunAt     *time.Time `json:"run_at,omitempty" doc:"When it is or was due, if it was to wait"`
	Deadline  *time.Time `json:"deadline,omitempty" doc:"When it is not begun any more"`
	EndedAt   *time.Time `json:"ended_at,omitempty" doc:"When the last task ended"`
	StatusURL string     `json:"status_url" doc:"Where this is" example:"/jobs/0199f3c1-6f0e-7c3a-9d55-1e3a7b3cad22"`
	ResultURL string     `json:"result_url,omitempty" doc:"Where the picture is that it has made"`
	Tasks     []taskView `json:"tasks" nullable:"false" doc:"What each service does for it"`

	Data json.RawMessage `json:"data,omitempty" doc:"What it was to do: its event's data, shown of what failed only"`
}

type taskView struct {
	Service     string          `json:"service" example:"mailer"`
	Task        string          `json:"task" doc:"What the service does" example:"welcome-email"`
	State       job.State       `json:"state" enum:"queued,running,retrying,succeeded,dead,cancelled"`
	Attempt     int             `json:"attempt" doc:"How often it was begun" example:"1"`
	Generation  int             `json:"generation,omitempty" doc:"How often it was asked for again after its end"`
	Error       string          `json:"error,omitempty" doc:"The last one"`
	Progress    *event.Progress `json:"progress,omitempty" doc:"How far it says it is"`
	Result      json.RawMessage `json:"result,omitempty" doc:"What it has to say of its success"`
	StartedAt   *time.Time      `json:"started_at,omitempty"`
	EndedAt     *time.Time      `json:"ended_at,omitempty"`
	Due         *time.Time      `json:"due,omitempty" doc:"When a retrying task is tried again"`
	Traceparent string          `json:"traceparent,omitempty" doc:"W3C trace context of the last attempt"`
	Steps       []stepView      `json:"steps" nullable:"false" doc:"Its latest changes of state"`
}

type stepView struct {
	Attempt int       `json:"attempt"`
	State   job.State `json:"state" enum:"queued,running,retrying,succeeded,dead,cancelled"`
	At      time.Time `json:"at"`
	Error   string    `json:"error,omitempty"`
}

func viewJob(j *job.Job) jobView {
	v := jobView{
		ID: j.ID, Type: j.Type, State: j.State(), CreatedAt: j.Created.UTC(), EndedAt: utc(j.Ended()),
		RunAt: utc(j.Due), Deadline: utc(j.NotAfter), StatusURL: jobPath(j.ID), Tasks: make([]taskView, 0, len(j.Tasks)),
	}
	if t := j.Task(pictureService); t != nil && t.State == event.Succeeded {
		v.ResultURL = jobPath(j.ID) + "/result"
	}
	for i := range j.Tasks {
		v.Tasks = append(v.Tasks, viewTask(&j.Tasks[i]))
	}
	return v
}

func viewTask(t *job.Task) taskView {
	v := taskView{
		Service: t.Service, Task: t.Name, State: t.State, Attempt: t.Attempt, Generation: t.Generation, Error: t.Error,
		Progress: t.Progress, Result: t.Result, StartedAt: utc(t.Started), EndedAt: utc(t.Ended), Due: utc(t.Due),
		Traceparent: t.Trace, Steps: make([]stepView, 0, len(t.Steps)),
	}
	for _, s := range t.Steps {
		v.Steps = append(v.Steps, stepView{Attempt: s.Attempt, State: s.State, At: s.At.UTC(), Error: s.Error})
	}
	return v
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
