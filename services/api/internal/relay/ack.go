package relay

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

const contentType = event.ContentType

// errLost is why a lane stands still that has seen its stream come to less than it had been.
var errLost = errors.New("the stream has lost messages")

// acked notes the server's answer. A new message below what the stream was known to hold when it was sent proves that the stream has
// lost what was there. The mark as it is now would prove nothing: answers to others may have come between.
func (l *lane) acked(m *message, ack *jetstream.PubAck) {
	m.seq, m.done = ack.Sequence, true
	if m.entry {
		l.refused.Store(false)
	}
	if l.stream == stream.Dead {
		return // nothing depends on it
	}
	if !ack.Duplicate && ack.Sequence <= m.mark && !l.lost {
		l.lost, l.left = true, ack.Sequence-1
	}
	l.mark = max(l.mark, ack.Sequence)
}

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
	position, mark := l.position, l.mark
	if l.lost || l.stream == stream.Dead {
		mark = 0
	}
	l.writer.Later(func(v *commit.View) { note(v, l.stream, position, mark, done) })
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
			l.acked(m, ack)
		default:
			return // answers come in order
		}
	}
}

func note(v *commit.View, name string, position, mark uint64, done []message) {
	v.SetPosition(name, position)
	if mark > 0 {
		_ = v.RaiseMark(name, time.Time{}, mark) // a mark that stays too low proves less, and nothing wrong
	}
	for i := range done {
		m := &done[i]
		if m.entry {
			v.LeaveEntry(m.key)
		}
		if m.seq != 0 && name != stream.Dead {
			addressed(v, m)
		}
	}
}

// addressed notes that a message asks for every task of its job, or for one if it is an entry that does.
func addressed(v *commit.View, m *message) {
	j, err := v.Job(m.job)
	if err != nil || !needs(j, m) || m.later() && !j.Waits {
		return // a job that has left needs no note, nor one that does not wait any more
	}
	if j, err = v.Edit(m.job); err != nil {
		return
	}
	for i := range j.Tasks {
		if m.raises(&j.Tasks[i]) {
			j.Tasks[i].Message = m.seq
		}
	}
}

func needs(j *job.Job, m *message) bool {
	for i := range j.Tasks {
		if m.raises(&j.Tasks[i]) {
			return true
		}
	}
	return false
}

// raises reports whether the message is the newest that asks for a task of its job.
func (m *message) raises(t *job.Task) bool {
	return m.asks(t) && t.Message < m.seq && t.Counts(m.seq, m.generation())
}

// generation is the one in which the message asks.
func (m *message) generation() int {
	n, _ := strconv.Atoi(m.header[stream.HeaderGeneration]) // absent is 0
	return n
}

// asks reports whether the message is for a task of its job.
func (m *message) asks(t *job.Task) bool {
	service := m.service()
	return !m.entry || service == "" || service == t.Service
}

// later reports whether the message is to wait in its stream until its job is due.
func (m *message) later() bool { return stream.IsLater(m.subject) }

// service is the one that an entry asks again; empty for an entry that asks all that its job asks for, and for a dead letter.
func (m *message) service() string {
	rest, ok := strings.CutPrefix(m.subject, "retry.")
	if !m.entry || !ok {
		return ""
	}
	service, _, _ := strings.Cut(rest, ".")
	return service
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
			l.acked(m, ack)
		case <-m.ack.Err(): //nolint:errcheck // it is sent again, and then says so itself
		}
		m.ack = nil
	}
	l.collect()
	return err
}
