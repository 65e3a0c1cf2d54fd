package worker

import (
	"time"

	"handoff/shared/event"
	"handoff/shared/stream"
)

// HandleOn is Handle for a task that is not in the table.
func HandleOn[P event.Payload, R any](w *Worker, durable stream.Durable, spec Spec, h HandlerFunc[P, R]) {
	w.tasks[durable.Type] = newTask(durable, spec, h)
}

// SetClockAhead has w's host be ahead of the server's time; it is called before Run.
func SetClockAhead(w *Worker, by time.Duration) {
	w.clock.local = func() time.Time { return time.Now().Add(by) }
}
