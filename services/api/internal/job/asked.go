package job

import "handoff/shared/event"

// Asked gives what is known of a task once a message that asks for it has been read: its sequence in the stream and the
// generation that it asks for. A higher generation than the task's queues it again. The second result says whether anything is new.
func Asked(t Task, sequence uint64, generation int) (Task, bool) {
	switch {
	case generation > t.Generation && t.Name != "": // else nobody does such work, in whatever generation
		t = Again(t, generation)
	case t.Message == sequence, !t.Counts(sequence, generation):
		return t, false
	}
	t.Message = sequence
	return t, true
}

// Counts reports whether a message is to be noted as the task's. One of an older generation does not have a task done that has not ended:
// the record that ended that generation has it skipped. It is noted only above one that does, whose record must outlast both.
func (t *Task) Counts(sequence uint64, generation int) bool {
	return generation >= t.Generation || t.State.Ended() || t.Message != 0 && sequence > t.Message
}

// Again is a task that is asked for in a later generation, as it stands until something is heard of that one.
func Again(t Task, generation int) Task {
	return Task{
		Service: t.Service, Name: t.Name, State: event.Queued, Generation: generation, Trace: t.Trace, Steps: t.Steps,
		Entry: t.Entry, Message: t.Message, Revision: t.Revision, Touched: t.Touched,
	}
}

// Redrivable reports whether a task can be asked for again in a later generation: it has ended, and not well, and where it was cancelled,
// its service knows of that. Else its generation could still be done, too.
func (t *Task) Redrivable() bool {
	return t.State == event.Dead || t.State == event.Cancelled && !t.Untold
}

// Unasked reports whether a task has not ended and yet no message has ever asked for it, nor waits to; see [Task.Entry].
func (t *Task) Unasked() bool { return t.Entry == 0 && t.Message == 0 && !t.State.Ended() }
