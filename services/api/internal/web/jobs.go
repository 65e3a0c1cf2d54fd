package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// maxWait is how long a request may wait for a job's end.
const maxWait = time.Minute

type jobsInput struct {
	State   string `query:"state" enum:"scheduled,queued,running,succeeded,dead,cancelled" doc:"Only jobs in this state"`
	Service string `query:"service" doc:"Only jobs with a task for this service" example:"mailer"`
	Type    string `query:"type" enum:"user.created,image.requested,task.requested,job.finished" doc:"Only jobs of this type of event"`
	Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most"`
	After   string `query:"after" doc:"A job's id: only those accepted before it. The Link header of a page has the next one's."`
}

type jobsOutput struct {
	Link string    `header:"Link" doc:"The next page, as rel=next; absent on the last one"`
	Body []jobView `nullable:"false"`
}

type jobInput struct {
	ID     string `path:"id" doc:"The job's id" example:"0199f3c1-6f0e-7c3a-9d55-1e3a7b3cad22"`
	Wait   string `query:"wait" doc:"Answer when the job has ended, or after this long: seconds, or as 10s, 500ms; 60s at most" example:"10s"`
	Prefer string `header:"Prefer" doc:"wait=10, in seconds: as the parameter, which goes first (RFC 7240)"`

	wait    time.Duration
	applied string
}

// Resolve reads how long to wait. A preference that cannot be honoured is ignored, as RFC 7240 wants it.
func (in *jobInput) Resolve(huma.Context) []error {
	if in.Wait == "" {
		in.wait, in.applied = preferredWait(in.Prefer)
		return nil
	}
	var err error
	if in.wait, err = parseWait(in.Wait); err != nil {
		return []error{&huma.ErrorDetail{Message: err.Error(), Location: "query.wait", Value: in.Wait}}
	}
	return nil
}

func parseWait(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if seconds, serr := strconv.ParseFloat(s, 64); serr == nil {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d < 0 || d > maxWait {
		return 0, errors.New("wait is a number of seconds or a duration such as 10s, from 0 to 60s")
	}
	return d, nil
}

// preferredWait finds the wait among the preferences, and what to confirm of it. A longer one than we grant is shortened.
func preferredWait(prefer string) (time.Duration, string) {
	for p := range strings.SplitSeq(prefer, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		value, _, _ = strings.Cut(value, ";")
		seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
		if err != nil {
			return 0, ""
		}
		seconds = min(seconds, uint64(maxWait/time.Second))
		return time.Duration(seconds) * time.Second, "wait=" + strconv.FormatUint(seconds, 10) //nolint:gosec // at most 60
	}
	return 0, ""
}

type jobOutput struct {
	Applied string `header:"Preference-Applied" doc:"The wait that Prefer asked for and got"`
	Body    jobView
}

func (s *Server) registerJobs(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "list-jobs", Method: http.MethodGet, Path: "/jobs/", Tags: []string{tagJobs},
		Summary:                      "List jobs",
		Description:                  "Newest first.",
		RejectUnknownQueryParameters: true,
		Errors:                       []int{http.StatusUnprocessableEntity},
	}, s.listJobs)
	huma.Register(api, huma.Operation{
		OperationID: "get-job", Method: http.MethodGet, Path: "/jobs/{id}", Tags: []string{tagJobs},
		Summary:                      "Show a job",
		Description:                  "With each of its tasks: state, attempts, last error, progress, result, times. With a wait, the answer comes when the job has ended or the wait is over, whichever is first: look at `state`.",
		RejectUnknownQueryParameters: true,
		Errors:                       []int{http.StatusNotFound},
	}, s.getJob)
}

func (s *Server) listJobs(_ context.Context, in *jobsInput) (*jobsOutput, error) {
	jobs, err := s.opts.Reader.Jobs(job.Query{
		State: job.State(in.State), Service: in.Service, Type: event.Type(in.Type), After: in.After, Limit: in.Limit + 1,
	})
	if errors.Is(err, job.ErrNotFound) {
		return nil, unknownAfter("job", in.After)
	}
	if err != nil {
		return nil, explain(err)
	}
	jobs, more := page(jobs, in.Limit)
	out := &jobsOutput{Body: make([]jobView, 0, len(jobs))}
	for _, j := range jobs {
		out.Body = append(out.Body, viewJob(j))
	}
	if more {
		out.Link = nextLink("/jobs/", in.Limit, jobs[len(jobs)-1].ID,
			url.Values{"state": {in.State}, "service": {in.Service}, "type": {in.Type}})
	}
	return out, nil
}

func (s *Server) getJob(ctx context.Context, in *jobInput) (*jobOutput, error) {
	j, err := s.findJob(in.ID)
	if err == nil && in.wait > 0 && !j.State().Ended() {
		j, err = s.awaitJob(ctx, in.ID, in.wait)
	}
	if err != nil {
		return nil, explain(err)
	}
	return &jobOutput{Applied: in.applied, Body: viewJob(j)}, nil
}

func (s *Server) findJob(id string) (*job.Job, error) {
	if !event.ValidID(id) {
		return nil, job.ErrNotFound
	}
	return s.opts.Reader.Job(id)
}

// awaitJob waits until the job has ended, the time is up or the server drains.
func (s *Server) awaitJob(ctx context.Context, id string, wait time.Duration) (*job.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	ctx, done := s.untilDrain(ctx)
	defer done()
	return s.opts.Waiter.Wait(ctx, id)
}
