package trim

import (
	"cmp"
	"slices"

	"handoff/services/api/internal/backlog"
)

const (
	// maxAgain is how many records are written again for one purge at most.
	maxAgain = 1000
	// maxOld is how many old tasks are asked for again at once; more of them are a backlog.
	maxOld = 10_000
	// gain is how many times fewer what goes may be than what stays. It keeps a bucket full of living records from being written again
	// and again for nothing.
	gain = 10
)

// holders are the records that a bucket must keep.
type holders struct {
	below   uint64 // what may be purged
	kept    uint64
	again   []Record // of unended tasks
	blocked bool
}

func (h *holders) see(b *Bucket, r *backlog.Row) {
	switch {
	case r.Revision == 0:
		return
	case r.Touched.Before(b.Created):
		// It was read from a bucket that is no more. Where it is in this one nobody knows.
		h.blocked = true
	case r.Revision < b.First:
		return // written again since, and not read yet: above what was read
	case r.Ended():
		h.below = min(h.below, r.Revision)
	default:
		h.again = append(h.again, Record{Job: r.Job, Revision: r.Revision})
	}
	h.kept++
}

func (h *holders) clearance(b *Bucket) (c Clearance, worth bool) {
	if h.blocked || b.Records < h.kept+2 || (b.Records-h.kept-1)*gain < h.kept {
		return c, false
	}
	c.Below = h.below
	slices.SortFunc(h.again, func(a, b Record) int { return cmp.Compare(a.Revision, b.Revision) })
	for _, r := range h.again {
		if r.Revision >= c.Below {
			break
		}
		if len(c.Again) == maxAgain {
			c.Below = r.Revision
			break
		}
		c.Again = append(c.Again, r)
	}
	return c, c.Below > b.First
}

// crowd is who waits in the older half of a stream that is over half full.
type crowd struct {
	middle uint64
	tasks  []Task
	later  []Task // of jobs that are not due: they may be many, and hold a quarter of the stream at most
	many   bool
}

func (c *crowd) add(r *backlog.Row) {
	t := Task{Job: r.Job, Service: r.Service, Generation: r.Gen}
	switch {
	case r.Waits:
		c.later = append(c.later, t)
	case len(c.tasks) == maxOld:
		c.many = true
	default:
		c.tasks = append(c.tasks, t)
	}
}

// stragglers gives those who alone hold the older half; none when there are so many that their new messages would take the room
// that the old ones give.
func (c *crowd) stragglers(s *Stream) []Task {
	if c.many || uint64(len(c.tasks))*gain > c.middle-s.First {
		return nil
	}
	return append(c.tasks, c.later...)
}
