package relay

import (
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

const contentType = event.ContentType

// collect takes what is done off the front of the window and has it noted in the store: which message addresses which job, which
// entries have left, and the position. What is done behind something that is not waits there.
func (l *lane) collect() {
	l.poll()
	n := 0
	for n < len(l.window) && l.window[n].done {
		n++
	}
	if n == 0 {
		return
	}
	done := l.window[:n:n]
	l.window = l.window[n:]
	for i := range done {
		m := &done[i]
		l.windowBytes -= len(m.data)
		if !m.entry {
			l.position = max(l.position, m.key)
			l.waiting.Add(-1)
			l.bytes.Add(-int64(len(m.data)))
		}
		m.data, m.ack = nil, nil // it may be a while until the note is written
	}
	position := l.position
	l.writer.Later(func(v *commit.View) { note(v, l.stream, position, done) })
}

// poll notes the answers that have come behind the first message of the window.
func (l *lane) poll() {
	for i := range l.window {
		m := &l.window[i]
		if m.done || m.ack == nil {
			continue
		}
		select {
		case ack := <-m.ack.Ok():
			m.seq, m.done = ack.Sequence, true
		default:
			return // answers come in order
		}
	}
}

func note(v *commit.View, stream string, position uint64, done []message) {
	v.SetPosition(stream, position)
	for i := range done {
		m := &done[i]
		switch {
		case m.entry:
			v.LeaveEntry(m.key)
		case m.seq != 0:
			addressed(v, m.job, m.seq)
		}
	}
}

// addressed notes that every task of a job is asked for by the message with sequence seq.
func addressed(v *commit.View, id string, seq uint64) {
	j, err := v.Job(id)
	if err != nil || !needs(j, seq) {
		return // a job that has left needs no note
	}
	if j, err = v.Edit(id); err != nil {
		return
	}
	for i := range j.Tasks {
		j.Tasks[i].Message = max(j.Tasks[i].Message, seq)
	}
}

func needs(j *job.Job, seq uint64) bool {
	for i := range j.Tasks {
		if j.Tasks[i].Message < seq {
			return true
		}
	}
	return false
}

// drain waits for everything on its way, so that what has come through is not sent again, and gives err back.
func (l *lane) drain(err error) error {
	for i := range l.window {
		m := &l.window[i]
		if m.done || m.ack == nil {
			continue
		}
		select { // ends: an answer that does not come is a timeout
		case ack := <-m.ack.Ok():
			m.seq, m.done = ack.Sequence, true
		case <-m.ack.Err(): //nolint:errcheck // it is sent again, and then says so itself
		}
		m.ack = nil
	}
	l.collect()
	return err
}
