package relay

import (
	"errors"

	"handoff/services/api/internal/job"
)

// push takes an accept that has been committed. What the queue has no room for is read from the store when its turn comes.
func (l *lane) push(m message) {
	l.waiting.Add(1)
	l.bytes.Add(int64(len(m.data)))
	l.mu.Lock()
	l.newest = m.key
	switch {
	case l.behind:
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
	l.mu.Lock()
	if k := min(room, len(l.entries)); k > 0 {
		var batch []message
		batch, l.entries = cut(l.entries, k)
		l.mu.Unlock()
		return batch, nil
	}
	if len(l.queue) > 0 && forAccepts > 0 {
		k, size := 0, 0
		for k < min(forAccepts, len(l.queue)) && size <= l.limits.WindowBytes/2 {
			size += len(l.queue[k].data)
			k++
		}
		var batch []message
		batch, l.queue = cut(l.queue, k)
		l.queueBytes -= size
		l.taken = batch[k-1].key
		l.mu.Unlock()
		return batch, nil
	}
	behind := l.behind && len(l.queue) == 0
	l.mu.Unlock()
	if !behind || forAccepts <= 0 {
		return nil, nil
	}
	return l.catchUp(forAccepts)
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
			if m.done, err = l.settled(m.job); err != nil {
				return nil, err
			}
		}
		batch = append(batch, m)
	}
	if len(batch) > 0 {
		l.taken = batch[len(batch)-1].key
		return batch, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.newest <= l.taken {
		l.behind = false
	} else {
		l.nudge() // pushed since the read
	}
	return nil, nil
}

// settled reports whether a job's event need not be published: it is in the stream, or all that it asks for has ended.
func (l *lane) settled(id string) (bool, error) {
	j, err := l.store.Job(id)
	if errors.Is(err, job.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if j.State().Ended() {
		return true, nil
	}
	for i := range j.Tasks {
		if j.Tasks[i].Message != 0 {
			return true, nil
		}
	}
	return false, nil
}
