package web

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

type cancelInput struct {
	ID string `path:"id" doc:"The job's id" example:"0199f3c1-6f0e-7c3a-9d55-1e3a7b3cad22"`
}

func (s *Server) registerCancel(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "cancel-job", Method: http.MethodPost, Path: "/jobs/{id}/cancel", Tags: []string{tagJobs},
		Summary: "Cancel a job",
		Description: "Every task that has not ended is cancelled: it is not begun any more, and what runs is told to stop. What was done " +
			"before stays done; the task's error and steps say so. 409 when the job has ended.",
		DefaultStatus: http.StatusAccepted,
		Errors:        []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable, http.StatusInsufficientStorage},
	}, s.cancelJob)
}

func (s *Server) cancelJob(ctx context.Context, in *cancelInput) (*acceptedOutput, error) {
	if !event.ValidID(in.ID) {
		return nil, explain(job.ErrNotFound)
	}
	j, err := s.opts.Canceller.Cancel(ctx, in.ID)
	if err != nil {
		return nil, explain(err)
	}
	at := jobPath(j.ID)
	return &acceptedOutput{
		Location: at,
		Body:     acceptedView{JobID: j.ID, Status: j.State(), StatusURL: at, Message: "What had not ended is cancelled."},
	}, nil
}
