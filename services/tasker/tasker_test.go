package tasker_test

import (
	"context"
	"testing"
	"time"

	"handoff/services/tasker"
	"handoff/shared/daemon"
	"handoff/shared/event"
	"handoff/shared/worker/workertest"
)

func run(ctx context.Context, p *daemon.Process) error { return tasker.Run(ctx, p, tasker.Config{}) }

func taking(d time.Duration) event.Payload {
	return event.TaskRequestedData{DurationMS: d.Milliseconds()}
}

func TestTaskerDoesWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	r := workertest.Start(t, "tasker", run)
	r.Ask("job-1", taking(700*time.Millisecond))
	progress := false
	last := r.Await("job-1", func(record *event.Record) bool {
		progress = progress || record.State == event.Running && record.Progress != nil
		return record.State.Ended()
	})
	if last.State != event.Succeeded || string(last.Result) != `{"slept_ms":700}` {
		t.Errorf("the task is %s with %s (%s)", last.State, last.Result, last.Error)
	}
	if !progress {
		t.Error("no record on the way shows progress")
	}
}

func TestTaskerAsTheAuthorOfAHandlerMustThinkOfIt(t *testing.T) {
	t.Parallel()
	workertest.Suite{
		Service: "tasker", Run: run,
		Payload: func(int) event.Payload { return taking(20 * time.Millisecond) },
		Hangs:   taking(time.Hour),
	}.Check(t)
}
