package schedule

import (
	"container/heap"
	"time"

	"handoff/services/api/internal/job"
)

// waiting is a job that waits until it is due.
type waiting struct {
	id, stream string
	key        uint64
	due        time.Time
	size       int
}

// Queue is what waits, the next one in front.
type Queue struct {
	next  order
	known map[uint64]waiting // by log key; what is in next and not here waits no more
	bytes map[string]int64   // of events, by stream
}

// NewQueue makes an empty queue.
func NewQueue() *Queue { return &Queue{known: map[uint64]waiting{}, bytes: map[string]int64{}} }

// See takes over how a job stands, and reports whether it has become the next one.
func (q *Queue) See(j *job.Job) (first bool) {
	w, known := q.known[j.Key]
	if waits := j.State() == job.Scheduled; waits == known {
		return false
	} else if !waits {
		delete(q.known, j.Key)
		q.bytes[w.stream] -= int64(w.size)
		return false
	}
	w = waiting{id: j.ID, stream: j.Stream, key: j.Key, due: *j.Due, size: j.Size}
	q.known[j.Key] = w
	q.bytes[w.stream] += int64(w.size)
	heap.Push(&q.next, w)
	return q.next[0].key == w.key
}

// Due takes those off the front that are due at now, up to limit, of streams that are open. held reports whether others are due, too.
func (q *Queue) Due(now time.Time, limit int, open func(stream string) bool) (ids []string, held bool) {
	var back []waiting
	for len(q.next) > 0 && !q.next[0].due.After(now) && len(ids) < limit {
		w := q.next[0]
		heap.Pop(&q.next)
		if _, known := q.known[w.key]; !known {
			continue
		}
		back = append(back, w) // until the store says that it waits no more
		if open(w.stream) {
			ids = append(ids, w.id)
		} else {
			held = true
		}
	}
	held = held || len(q.next) > 0 && !q.next[0].due.After(now)
	for _, w := range back {
		heap.Push(&q.next, w)
	}
	return ids, held
}

// Next is when something is due next; false when nothing waits.
func (q *Queue) Next() (time.Time, bool) {
	for len(q.next) > 0 {
		if _, known := q.known[q.next[0].key]; known {
			return q.next[0].due, true
		}
		heap.Pop(&q.next)
	}
	return time.Time{}, false
}

// Bytes is how much room the events take that wait for a stream.
func (q *Queue) Bytes(stream string) int64 { return q.bytes[stream] }

// order is a heap by due time.
type order []waiting

func (o order) Len() int           { return len(o) }
func (o order) Less(i, k int) bool { return o[i].due.Before(o[k].due) }
func (o order) Swap(i, k int)      { o[i], o[k] = o[k], o[i] }
func (o *order) Push(w any)        { *o = append(*o, w.(waiting)) } //nolint:forcetypeassert // by heap.Push alone
func (o *order) Pop() any {
	last := (*o)[len(*o)-1]
	*o = (*o)[:len(*o)-1]
	return last
}
