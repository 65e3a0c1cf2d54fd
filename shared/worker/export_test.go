package worker

import (
	"handoff/shared/event"
	"handoff/shared/stream"
)

// HandleOn is Handle for a task that is not in the table.
func HandleOn[P event.Payload, R any](w *Worker, durable stream.Durable, spec Spec, h HandlerFunc[P, R]) {
	w.tasks[durable.Type] = newTask(durable, spec, h)
}
