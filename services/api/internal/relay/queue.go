package relay

import (
	"errors"
	"time"

	"handoff/services/api/internal/job"
	"handoff/shared/stream"
)

// push takes an accept that has been committed. What the queue has no room for is read from the store when its turn comes.
func (l *lane) push(m message) {
	l.waiting.Add(1)
	l.bytes.Add(int64(len(m.data)))
	l.mu.Lock()
	l.newest = m.key
	switch {
	case l.behind, m.key <= l.taken: // it is, or has been, read from the store, where it was before anybody told of it
	case len(l.queue) >= l.limits.Queue || l.queueBytes >= l.limits.QueueBytes:
		l.behind = true
	default:
		l.queue = append(l.queue, m)
		l.queueBytes += len(m.data)
	}
	l.mu.Unlock()
	l.nudge()
}

func (l *lane) pushEntry(m message) {
	l.mu.Lock()
	l.entries = append(l.entries, m)
	l.mu.Unlock()
	l.nudge()
}

func (l *lane) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// next takes messages that have not been sent yet: entries, up to room, or else accepts, up to forAccepts.
func (l *lane) next(room, forAccepts int) ([]message, error) {
	if batch, err := l.nextEntries(min(room, 256)); len(batch) > 0 || err != nil {
		return batch, err
	}
	l.mu.Lock()
	if len(l.queue) > 0 && forAccepts > 0 {
		defer l.mu.Unlock()
		k := l.fitting(l.queue[:min(forAccepts, len(l.queue))])
		if k == 0 {
			return nil, nil
		}
		var batch []message
		batch, l.queue = cut(l.queue, k)
		for i := range batch {
			l.queueBytes -= len(batch[i].data)
		}
		l.taken = batch[k-1].key
		return batch, nil
	}
	behind := l.behind && len(l.queue) == 0
	l.mu.Unlock()
	if !behind || forAccepts <= 0 {
		return nil, nil
	}
	return l.catchUp(forAccepts)
}

// acceptsWait reports whether there are accepts to be taken.
func (l *lane) acceptsWait() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 && !l.behind {
		l.room.short = time.Time{}
		return false
	}
	return true
}

// nextEntries takes up to k entries, with what they publish. Those that cannot be read stay.
func (l *lane) nextEntries(k int) ([]message, error) {
	l.mu.Lock()
	k = min(k, len(l.entries))
	batch := append([]message(nil), l.entries[:k]...) // others only add behind
	l.mu.Unlock()
	for i := range batch {
		if err := l.prepare(&batch[i]); err != nil {
			return nil, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, l.entries = cut(l.entries, k)
	return batch, nil
}

// prepare gives an entry that asks for a task, or for all of a job, the job's event, unless nobody needs that any more: the job has
// left, or its task has ended, is at a higher generation, or has a newer entry.
func (l *lane) prepare(m *message) error {
	if l.stream == stream.Dead {
		return nil
	}
	j, err := l.store.Job(m.job)
	if errors.Is(err, job.ErrNotFound) {
		m.done = true
		return nil
	}
	if err != nil {
		return err
	}
	if m.done = !wanted(j, m); m.done {
		return nil
	}
	if len(m.data) > 0 {
		return nil
	}
	a, err := l.store.Accepted(j.Stream, j.Key)
	m.data = a.Data
	return err
}

// wanted reports whether an entry still asks for anything.
func wanted(j *job.Job, m *message) bool {
	if m.later() && !j.Waits {
		return false
	}
	generation := m.generation()
	for i := range j.Tasks {
		t := &j.Tasks[i]
		if m.asks(t) && t.Generation <= generation && t.Entry <= m.key && (!t.State.Ended() || t.Generation < generation) {
			return true
		}
	}
	return false
}

// rewind begins anew behind the position: what had been answered may have been lost, and what was to be skipped may be needed. The
// mark is the store's, which reconcile has lowered if the stream has lost messages.
func (l *lane) rewind() error {
	mark, err := l.store.Mark(l.stream)
	if err != nil {
		return err
	}
	l.mark, l.lost, l.room = mark.Highest, false, room{}
	l.mu.Lock()
	defer l.mu.Unlock()
	var again []message
	for i := range l.window {
		if m := l.window[i]; m.entry {
			m.done, m.ack, m.seq = false, nil, 0
			again = append(again, m)
		}
	}
	l.entries = append(again, l.entries...)
	l.window, l.windowBytes, l.taken = nil, 0, l.position
	clear(l.queue)
	l.queue, l.queueBytes, l.behind = nil, 0, true
	return nil
}

// cut splits the first k off s, which keeps nothing of them.
func cut(s []message, k int) (head, tail []message) {
	head = append(make([]message, 0, k), s[:k]...)
	clear(s[:k])
	return head, s[k:]
}

// catchUp reads accepts from the store, and leaves that to the queue again once there are no more.
func (l *lane) catchUp(n int) ([]message, error) {
	rows, err := l.store.Log(l.stream, l.taken, min(n, 1024))
	if err != nil {
		return nil, err
	}
	batch := make([]message, 0, len(rows))
	for i := range rows {
		m := fromAccept(&rows[i])
		if !m.done {
			if m.done, err = l.settled(&m); err != nil {
				return nil, err
			}
		}
		batch = append(batch, m)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(batch) > 0 {
		if batch = batch[:l.fitting(batch)]; len(batch) > 0 {
			l.taken = batch[len(batch)-1].key
		}
		return batch, nil
	}
	if l.newest <= l.taken {
		l.behind = false
	} else {
		l.nudge() // pushed since the read
	}
	return nil, nil
}

// settled reports whether a job's event need not be published: it is in the stream, all that it asks for has ended, if only to be asked
// for again in a later generation, or it was to wait until it is due, and an entry asks for it by now.
func (l *lane) settled(m *message) (bool, error) {
	j, err := l.store.Job(m.job)
	if errors.Is(err, job.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if j.State().Ended() || m.later() && !j.Waits {
		return true, nil
	}
	for i := range j.Tasks {
		if j.Tasks[i].Message != 0 || j.Tasks[i].Generation > 0 {
			return true, nil
		}
	}
	return false, nil
}
