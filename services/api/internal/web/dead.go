package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handoff/services/api/internal/job"
	"handoff/services/api/internal/redrive"
	"handoff/shared/event"
)

type deadInput struct {
	Service string    `query:"service" doc:"Only dead tasks of this service" example:"mailer"`
	Task    string    `query:"task" doc:"Only dead tasks of this name" example:"welcome-email"`
	Type    string    `query:"type" enum:"user.created,image.requested,task.requested,job.finished" doc:"Only of jobs of this type of event"`
	Error   string    `query:"error" maxLength:"1024" doc:"Only dead tasks whose last error has this in it, whatever its case" example:"timeout"`
	From    time.Time `query:"from" doc:"Only those that ended then or later" example:"2026-03-01T12:00:00Z"`
	Until   time.Time `query:"until" doc:"Only those that ended before" example:"2026-03-02T12:00:00Z"`
	Limit   int       `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many jobs at most"`
	After   string    `query:"after" doc:"A job's id: only those accepted before it. The Link header of a page has the next one's."`
}

// Resolve refuses a time that nothing can lie in.
func (in *deadInput) Resolve(huma.Context) []error {
	return checkSpan(in.From, in.Until, "query.until")
}

// checkSpan refuses a time that nothing can lie in.
func checkSpan(from, until time.Time, location string) []error {
	if from.IsZero() || until.IsZero() || from.Before(until) {
		return nil
	}
	return []error{&huma.ErrorDetail{Message: "until must be after from", Location: location, Value: until.Format(time.RFC3339Nano)}}
}

type deadOutput struct {
	Link string    `header:"Link" doc:"The next page, as rel=next; absent on the last one"`
	Body []jobView `nullable:"false"`
}

type oneDeadInput struct {
	ID string `path:"id" doc:"The job's id" example:"0199f3c1-6f0e-7c3a-9d55-1e3a7b3cad22"`
}

type oneDeadOutput struct{ Body jobView }

type retryInput struct {
	Keyed
	ID string `path:"id" doc:"The job's id" example:"0199f3c1-6f0e-7c3a-9d55-1e3a7b3cad22"`
}

// A newRedrive is the body of a request to do again what is dead. Fields that are left out select all.
type newRedrive struct {
	Service string     `json:"service,omitempty" doc:"Only dead tasks of this service" example:"mailer"`
	Task    string     `json:"task,omitempty" doc:"Only dead tasks of this name" example:"welcome-email"`
	Type    string     `json:"type,omitempty" enum:"user.created,image.requested,task.requested,job.finished" doc:"Only of jobs of this type of event"`
	Error   string     `json:"error,omitempty" maxLength:"1024" doc:"Only dead tasks whose last error has this in it, whatever its case" example:"timeout"`
	From    *time.Time `json:"from,omitempty" doc:"Only those that ended then or later" example:"2026-03-01T12:00:00Z"`
	Until   *time.Time `json:"until,omitempty" doc:"Only those that ended before" example:"2026-03-02T12:00:00Z"`
	Limit   int        `json:"limit,omitempty" minimum:"1" maximum:"100000" default:"1000" doc:"How many jobs at most, those that were accepted first"`
	DryRun  bool       `json:"dry_run,omitempty" doc:"Only count: nothing is done again"`
}

// Resolve checks what a schema cannot say.
func (n *newRedrive) Resolve(_ huma.Context, at *huma.PathBuffer) []error {
	if n.From == nil || n.Until == nil {
		return nil
	}
	return checkSpan(*n.From, *n.Until, at.With("until"))
}

type redriveInput struct{ Body newRedrive }

type redrivenView struct {
	DryRun bool `json:"dry_run" doc:"Nothing was done again, only counted"`
	Jobs   int  `json:"jobs" doc:"Jobs with tasks that are done again, or would be" example:"12"`
	Tasks  int  `json:"tasks" doc:"Tasks that are done again, or would be" example:"12"`
	More   bool `json:"more" doc:"There are more than the limit: ask again"`
}

type redriveOutput struct{ Body redrivenView }

func (s *Server) registerDead(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "retry-job", Method: http.MethodPost, Path: "/jobs/{id}/retry", Tags: []string{tagDead},
		Summary: "Do again what failed",
		Description: "Asks again for those tasks of a job that are dead or cancelled, and for no other. They start anew, with all their attempts; " +
			"what such a task had done before it failed is done again. A second click finds nothing dead, and is answered with 409.",
		DefaultStatus: http.StatusAccepted, MaxBodyBytes: bodyLimit,
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable, http.StatusInsufficientStorage},
	}, s.retryJob)
	huma.Register(api, huma.Operation{
		OperationID: "redrive-dead", Method: http.MethodPost, Path: "/dead/redrive", Tags: []string{tagDead},
		Summary: "Do again much that failed",
		Description: "Asks again for the dead tasks that the body selects; `{}` selects all. With `dry_run` it only tells how many these are. " +
			"It knows no Idempotency-Key: what is being done again is dead no more, so that the same request finds only what has died since.",
		Errors: refused(), MaxBodyBytes: bodyLimit,
	}, s.redriveDead)
	huma.Register(api, huma.Operation{
		OperationID: "list-dead", Method: http.MethodGet, Path: "/dead/", Tags: []string{tagDead},
		Summary: "List what failed",
		Description: "Jobs with a dead task, newest first, with what they were to do. The filters are those of `POST /dead/redrive`. A job whose " +
			"other tasks have not ended is listed, too.",
		RejectUnknownQueryParameters: true,
		Errors:                       []int{http.StatusUnprocessableEntity},
	}, s.listDead)
	huma.Register(api, huma.Operation{
		OperationID: "get-dead", Method: http.MethodGet, Path: "/dead/{id}", Tags: []string{tagDead},
		Summary:     "Show what failed of a job",
		Description: "The job as `GET /jobs/{id}` shows it, with what it was to do. There is no such page of a job without a dead task.",
		Errors:      []int{http.StatusNotFound},
	}, s.getDead)
}

// retryJob says what it says when the request comes again, too: how the job stood when it was asked for.
func (s *Server) retryJob(ctx context.Context, in *retryInput) (*acceptedOutput, error) {
	if !event.ValidID(in.ID) {
		return nil, explain(job.ErrNotFound)
	}
	if err := s.opts.Accepter.Retry(ctx, in.key, in.ID); err != nil {
		return nil, explain(err)
	}
	at := jobPath(in.ID)
	return &acceptedOutput{
		Location: at,
		Body:     acceptedView{JobID: in.ID, Status: event.Queued, StatusURL: at, Message: "What had failed will be done again in the background."},
	}, nil
}

func (s *Server) redriveDead(ctx context.Context, in *redriveInput) (*redriveOutput, error) {
	which := job.Dead{Service: in.Body.Service, Task: in.Body.Task, Type: event.Type(in.Body.Type), Error: in.Body.Error}
	if in.Body.From != nil {
		which.From = *in.Body.From
	}
	if in.Body.Until != nil {
		which.Until = *in.Body.Until
	}
	ctx, done := s.untilDrain(ctx)
	defer done()
	do := s.opts.Redriver.Redrive
	if in.Body.DryRun {
		do = s.opts.Redriver.Count
	}
	c, err := do(ctx, &which, in.Body.Limit)
	if err != nil {
		return nil, cutShort(explain(err), c, in.Body.DryRun)
	}
	return &redriveOutput{Body: redrivenView{DryRun: in.Body.DryRun, Jobs: c.Jobs, Tasks: c.Tasks, More: c.More}}, nil
}

// cutShort has a refusal say how much was done before it.
func cutShort(err error, c redrive.Counts, dryRun bool) error {
	var p *huma.ErrorModel
	if c.Tasks > 0 && !dryRun && errors.As(err, &p) {
		p.Detail += fmt.Sprintf(" Before that, %d tasks of %d jobs were asked for again.", c.Tasks, c.Jobs)
	}
	return err
}

func (s *Server) listDead(_ context.Context, in *deadInput) (*deadOutput, error) {
	which := job.Dead{
		Service: in.Service, Task: in.Task, Type: event.Type(in.Type), Error: in.Error, From: in.From, Until: in.Until,
	}
	jobs, err := s.opts.Reader.Jobs(job.Query{Dead: &which, After: in.After, Limit: in.Limit + 1})
	if errors.Is(err, job.ErrNotFound) {
		return nil, unknownAfter("job", in.After)
	}
	if err != nil {
		return nil, explain(err)
	}
	jobs, more := page(jobs, in.Limit)
	out := &deadOutput{Body: make([]jobView, 0, len(jobs))}
	for _, j := range jobs {
		v, err := s.viewDead(j)
		if errors.Is(err, job.ErrNotFound) {
			continue // it has left meanwhile
		}
		if err != nil {
			return nil, explain(err)
		}
		out.Body = append(out.Body, v)
	}
	if more {
		out.Link = nextLink("/dead/", in.Limit, jobs[len(jobs)-1].ID, url.Values{
			"service": {in.Service}, "task": {in.Task}, "type": {in.Type}, "error": {in.Error},
			"from": {stamp(in.From)}, "until": {stamp(in.Until)},
		})
	}
	return out, nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func (s *Server) getDead(_ context.Context, in *oneDeadInput) (*oneDeadOutput, error) {
	j, err := s.findJob(in.ID)
	if err == nil && new(job.Dead).Count(j) == 0 {
		return nil, huma.Error404NotFound("This job has no dead task: see " + jobPath(j.ID) + ".")
	}
	if err != nil {
		return nil, explain(err)
	}
	v, err := s.viewDead(j)
	if err != nil {
		return nil, explain(err)
	}
	return &oneDeadOutput{Body: v}, nil
}

// viewDead is a job with what it was to do.
func (s *Server) viewDead(j *job.Job) (jobView, error) {
	v := viewJob(j)
	b, err := s.opts.Reader.Event(j)
	if err != nil {
		return v, err
	}
	e, err := event.Decode(b)
	if err != nil {
		return v, fmt.Errorf("show the event of job %s: %w", j.ID, err)
	}
	v.Data = e.Data
	return v, nil
}
