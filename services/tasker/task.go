package tasker

import (
	"context"
	"log/slog"
	"time"

	"handoff/shared/event"
)

// steps is how often a task reports its progress.
const steps = 10

// A Task does the demo's pretended work.
type Task struct {
	log      *slog.Logger
	progress func(ctx context.Context, percent float64, note string)
}

// A Result is what a task leaves in its record.
type Result struct {
	SleptMS int64 `json:"slept_ms"`
}

// Handle takes as long as e says, or until ctx ends.
func (t *Task) Handle(ctx context.Context, e event.Event[event.TaskRequestedData]) (Result, error) {
	log := t.log.With("job", e.ID)
	log.InfoContext(ctx, "Async task started")
	start := time.Now()
	for i := range steps {
		t.progress(ctx, float64(i*100/steps), "")
		// To the step's end, not for a step's length: what the steps themselves take does not add up.
		end := start.Add(e.Data.Duration() * time.Duration(i+1) / steps)
		select {
		case <-time.After(time.Until(end)):
		case <-ctx.Done():
			return Result{}, context.Cause(ctx)
		}
	}
	t.progress(ctx, 100, "")
	log.InfoContext(ctx, "Async task completed")
	return Result{SleptMS: e.Data.DurationMS}, nil
}
