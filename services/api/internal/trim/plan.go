package trim

import (
	"iter"
	"time"

	"handoff/services/api/internal/backlog"
)

// A Stream is what was read of a work stream, before the rows of the backlog were.
type Stream struct {
	First, Last     uint64 // sequences; First is 1 in a stream that never held a message
	Messages        uint64
	Bytes, MaxBytes uint64
	Read            uint64 // the store knows of all messages up to this one
	Position        uint64 // as stored: all accepts up to this log key are in the stream
	Recorded        uint64 // all users up to this log key have a second copy
	Oldest          uint64 // lowest First within the grace, 0 for not known
	Refused         bool   // there is no room even for what is asked for again
}

// AtEnd reports whether the store knows of every message that was there.
func (s *Stream) AtEnd() bool { return s.Read >= s.Last }

// A Bucket is what was read of a service's bucket, before the streams were.
type Bucket struct {
	First, Last     uint64
	Records         uint64
	Bytes, MaxBytes uint64
	Created         time.Time
	Since           time.Time // when the oldest record was written
	Read            uint64    // the store knows of all records up to this one
}

// Seen is what a plan is made of. A stream or bucket that is not in it is left alone, and so is what depends on it.
type Seen struct {
	Streams   map[string]*Stream
	Buckets   map[string]*Bucket // by service
	Feeds     map[string][]string
	Expired   time.Time               // records written before this are old
	Published func(entry uint64) bool // whether an entry had left before the streams were looked at
	Waits     func(entry uint64) bool // whether an entry is in the store, to be published
}

// Orders are what shall be done, in the order of the fields.
type Orders struct {
	Streams map[string]uint64    // purge below this sequence
	Buckets map[string]Clearance // by service
	Settle  []Job
	Old     map[string][]Task // by stream that they hold: to be asked for again
	// Apart counts the tasks, by stream, that only the store knows to be unfinished, once Streams has been done: their message is
	// gone, and the next one waits.
	Apart map[string]int
}

// A Clearance of a bucket: write Again again, then purge below.
type Clearance struct {
	Below uint64
	Again []Record
}

// A Record holds a bucket down though its task has not ended.
type Record struct {
	Job      string
	Revision uint64
}

// A Job has ended, and its messages have gone.
type Job struct {
	ID     string
	Stream string
	Key    uint64
	Entry  uint64 // newest of its tasks
}

// A Task has not ended.
type Task struct {
	Job        string
	Service    string
	Generation int
}

// Plan says what may go.
//
// A message goes when every task that it addresses has ended or has a newer one. So a stream is purged below the lowest message of an
// unended task, and never beyond what has been read: a task whose message is not known has none among those that were.
//
// A stream with no room even for the new messages of those few that hold its older half is purged up to its middle all the same: the store
// has them, and they follow.
//
// A record goes when its task has ended, no message can bring it back, and none could within the grace.
func Plan(seen *Seen, rows iter.Seq[*backlog.Row]) *Orders {
	p := &planner{seen: seen, floors: map[string]uint64{}, holders: map[string]*holders{}, old: map[string]*crowd{}, apart: map[string]int{}}
	for name, s := range seen.Streams {
		p.floors[name] = s.Read + 1
		if s.Bytes > s.MaxBytes/2 {
			p.old[name] = &crowd{middle: s.First + (s.Last-s.First)/2}
		}
	}
	for service, b := range seen.Buckets {
		if p.clearable(service, b) {
			p.holders[service] = &holders{below: min(b.Read, b.Last) + 1}
		}
	}
	for r := range rows {
		p.see(r)
	}
	p.settle()
	return p.orders()
}

type planner struct {
	seen    *Seen
	floors  map[string]uint64
	holders map[string]*holders
	old     map[string]*crowd
	apart   map[string]int
	job     Job // whose rows are being seen
	settled bool
	ended   []Job
}

func (p *planner) clearable(service string, b *Bucket) bool {
	if b.Bytes <= b.MaxBytes/2 && !b.Since.Before(p.seen.Expired) {
		return false
	}
	return p.fed(service)
}

// fed reports whether the store knows all that asks a service for anything.
func (p *planner) fed(service string) bool { return fed(p.seen, service) }

func fed(seen *Seen, service string) bool {
	for _, name := range seen.Feeds[service] {
		if s := seen.Streams[name]; s == nil || !s.AtEnd() {
			return false
		}
	}
	return true
}

func (p *planner) see(r *backlog.Row) {
	s := p.seen.Streams[r.Stream]
	if s != nil {
		p.hold(s, r)
	}
	bound := p.bound(s, r)
	if h := p.holders[r.Service]; h != nil && bound {
		h.see(p.seen.Buckets[r.Service], r)
	}
	if r.Key != p.job.Key {
		p.settle()
		p.job, p.settled = Job{ID: r.Job, Stream: r.Stream, Key: r.Key}, true
	}
	p.job.Entry = max(p.job.Entry, r.Entry)
	p.settled = p.settled && !bound && s.AtEnd() && r.Key <= s.Recorded
}

// hold has a task keep its message, if that is in the stream. What has ended keeps it until the position is stored, for what lies
// above that is published again after a crash.
func (p *planner) hold(s *Stream, r *backlog.Row) {
	if r.Ended() && r.Key <= s.Position && r.Key <= s.Recorded {
		return
	}
	c := p.old[r.Stream]
	waits := !r.Ended() && r.Message > 0 && r.Entry > r.Key && (r.Message < s.First || c != nil && s.Refused && r.Message < c.middle) &&
		p.seen.Waits(r.Entry)
	if waits {
		p.apart[r.Stream]++
	}
	if r.Message < s.First {
		return
	}
	if waits {
		p.floors[r.Stream] = min(p.floors[r.Stream], c.middle)
		return
	}
	p.floors[r.Stream] = min(p.floors[r.Stream], r.Message)
	if c != nil && !r.Ended() && r.Message < c.middle {
		c.add(r)
	}
}

// bound reports whether the task's record is needed, because something may still ask for it.
func (p *planner) bound(s *Stream, r *backlog.Row) bool {
	return !r.Ended() || r.Untold || s == nil || r.Key > s.Position || r.Message >= s.Oldest || r.Entry > r.Key && !p.seen.Published(r.Entry)
}

// settle notes that the job whose rows were seen last can go off the window.
func (p *planner) settle() {
	if p.settled {
		p.ended = append(p.ended, p.job)
	}
	p.settled = false
}

func (p *planner) orders() *Orders {
	o := &Orders{Streams: map[string]uint64{}, Buckets: map[string]Clearance{}, Settle: p.ended, Old: map[string][]Task{}, Apart: p.apart}
	for name, floor := range p.floors {
		if s := p.seen.Streams[name]; floor > s.First && s.Messages > 0 {
			o.Streams[name] = floor
		}
	}
	for service, h := range p.holders {
		if c, worth := h.clearance(p.seen.Buckets[service]); worth {
			o.Buckets[service] = c
		}
	}
	for name, c := range p.old {
		if tasks := c.stragglers(p.seen.Streams[name]); len(tasks) > 0 {
			o.Old[name] = tasks
		}
	}
	return o
}
