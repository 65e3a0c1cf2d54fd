package web

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handoff/services/api/internal/accept"
	"handoff/shared/event"
)

// defaultTask is how long the pretended work takes unless asked for otherwise, in seconds.
const defaultTask = 3

type newTask struct {
	DurationSeconds *float64 `json:"duration_seconds,omitempty" minimum:"0" maximum:"60" doc:"How long the work takes; 3 unless given" example:"3"`
	Timing
}

// Resolve checks what a schema cannot say.
func (n *newTask) Resolve(_ huma.Context, at *huma.PathBuffer) []error {
	return n.check(at, time.Now())
}

type taskInput struct {
	Keyed
	Body *newTask
}

type messageView struct {
	Message string `json:"message" example:"Done."`
}

type messageOutput struct{ Body messageView }

func (s *Server) registerTasks(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "async-task", Method: http.MethodPost, Path: "/async-task/", Tags: []string{tagTasks},
		Summary:       "Do slow work in the background",
		Description:   "Answers at once; the work is done afterwards. Compare `POST /sync-task/`.",
		DefaultStatus: http.StatusAccepted, Errors: refused(http.StatusConflict), MaxBodyBytes: bodyLimit,
	}, s.asyncTask)
	huma.Register(api, huma.Operation{
		OperationID: "sync-task", Method: http.MethodPost, Path: "/sync-task/", Tags: []string{tagTasks},
		Summary: "Do slow work in the request",
		Description: "Answers when the work is done, after about three seconds: what Handoff saves its callers. Nothing is " +
			"kept of it, so it knows no Idempotency-Key.",
		Errors: []int{http.StatusServiceUnavailable},
	}, s.syncTask)
}

func (s *Server) asyncTask(ctx context.Context, in *taskInput) (*acceptedOutput, error) {
	seconds := float64(defaultTask)
	var options []accept.Option
	if in.Body != nil {
		options = in.Body.options
		if in.Body.DurationSeconds != nil {
			seconds = *in.Body.DurationSeconds
		}
	}
	return s.request(ctx, in.key, event.TaskRequestedData{DurationMS: int64(seconds * 1000)}, options,
		"The task will be done in the background.")
}

func (s *Server) syncTask(ctx context.Context, _ *struct{}) (*messageOutput, error) {
	done := time.NewTimer(s.limits.demo)
	defer done.Stop()
	select {
	case <-done.C:
		return &messageOutput{Body: messageView{Message: "The task was done while you waited."}}, nil
	case <-s.draining:
		return nil, retryLater("The server is stopping.", time.Second)
	case <-ctx.Done():
		return nil, explain(ctx.Err())
	}
}
