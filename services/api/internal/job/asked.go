package job

import "handoff/shared/event"

// Asked gives what is known of a task once a message that asks for it has been read: its sequence in the stream and the
// generation that it asks for. A higher generation than the task's queues it again. The second result says whether anything is new.
func Asked(t Task, sequence uint64, generation int) (Task, bool) {
	if generation > t.Generation {
		return Task{
			Service: t.Service, Name: t.Name, State: event.Queued, Generation: generation, Trace: t.Trace, Steps: t.Steps,
			Entry: t.Entry, Message: sequence, Revision: t.Revision, Touched: t.Touched,
		}, true
	}
	if t.Message == sequence {
		return t, false
	}
	t.Message = sequence
	return t, true
}

// Unasked reports whether a task has not ended and yet no message has ever asked for it, nor waits to; see [Task.Entry].
func (t *Task) Unasked() bool { return t.Entry == 0 && t.Message == 0 && !t.State.Ended() }
