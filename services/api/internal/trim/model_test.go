package trim

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

const grace = 3 * time.Second

// model is a stream with two services, their buckets, and what the store knows of them. Everything that others do comes in steps of
// its own, which fall between any two steps of a look.
type model struct {
	now    time.Time
	msgs   map[uint64]msg // the stream
	first  uint64
	last   uint64
	beds   map[string]*bed // buckets
	begun  map[string]bool // job/service: a record of it was written once
	jobs   map[uint64]*job.Job
	window map[uint64]bool

	key      uint64
	position uint64
	entries  map[uint64]entry // in the store
	unnoted  []sent           // acknowledged and not noted yet
	read     uint64           // the projection's, in the stream

	look *lookAt
	full bool // the stream refuses entries
	t    *Trimmer
	undo []undo // purges, which a power loss can undo for a while
}

type undo struct {
	at          time.Time
	first, last uint64
	msgs        map[uint64]msg
}

type msg struct {
	job      uint64
	services []string
	id       uint64 // log key of the accept or entry
}

type entry struct {
	job     uint64
	service string
}

type sent struct {
	key   uint64
	job   uint64
	seq   uint64
	entry bool
}

// bed is a bucket.
type bed struct {
	first, last uint64
	at          map[uint64]string // sequence → key
	records     map[string]record
	read        uint64
}

type record struct {
	seq uint64
	at  time.Time
	r   event.Record
}

type lookAt struct {
	seen   Seen
	orders *Orders
}

func services() []string { return []string{"mailer", "notifier"} }

func newModel() *model {
	m := &model{
		now: time.Unix(1000, 0), msgs: map[uint64]msg{}, first: 1, beds: map[string]*bed{}, begun: map[string]bool{}, jobs: map[uint64]*job.Job{},
		window: map[uint64]bool{}, key: 100, position: 100, entries: map[uint64]entry{},
		t: &Trimmer{limits: Limits{Grace: grace}.withDefaults(), firsts: map[string]*firsts{}},
	}
	for _, s := range services() {
		b := &bed{first: 1, at: map[uint64]string{}, records: map[string]record{}}
		m.beds[s] = b
		m.put(b, stream.OpenKey, event.Record{})
	}
	return m
}

func id(key uint64) string { return strconv.FormatUint(key, 10) }

func (m *model) put(b *bed, key string, r event.Record) {
	b.last++
	if old, there := b.records[key]; there {
		delete(b.at, old.seq)
	}
	b.at[b.last] = key
	b.records[key] = record{seq: b.last, at: m.now, r: r}
	m.settleFirst(b)
}

func (m *model) settleFirst(b *bed) {
	for b.first <= b.last && b.at[b.first] == "" {
		b.first++
	}
}

func (m *model) publish(to msg) uint64 {
	m.last++
	m.msgs[m.last] = to
	return m.last
}

func (m *model) purge(below uint64) {
	u := undo{at: m.now, first: m.first, last: m.last, msgs: map[uint64]msg{}}
	for seq, to := range m.msgs {
		if seq < below {
			u.msgs[seq] = to
			delete(m.msgs, seq)
		}
	}
	m.undo = append(m.undo, u)
	m.first = max(m.first, below)
	m.last = max(m.last, m.first-1)
}

func (b *bed) purge(m *model, below uint64) {
	for seq, key := range b.at {
		if seq < below {
			delete(b.at, seq)
			delete(b.records, key)
		}
	}
	m.settleFirst(b)
}

// rows are the backlog's, in the order of a map.
func (m *model) rows(t *rapid.T) iter.Seq[*backlog.Row] {
	return func(yield func(*backlog.Row) bool) {
		for _, k := range shuffled(t, slices.Sorted(maps.Keys(m.window))) {
			j := m.jobs[k]
			for i := range j.Tasks {
				r := row(j, &j.Tasks[i])
				if !yield(&r) {
					return
				}
			}
		}
	}
}

func row(j *job.Job, t *job.Task) backlog.Row {
	return backlog.Row{
		Job: j.ID, Key: j.Key, Stream: j.Stream, Type: j.Type, Service: t.Service, State: t.State, Entry: t.Entry, Message: t.Message,
		Revision: t.Revision, Gen: t.Generation, Touched: t.Touched,
	}
}

func shuffled[T any](t *rapid.T, all []T) []T {
	if len(all) < 2 {
		return all
	}
	return rapid.Permutation(all).Draw(t, "order")
}

// EntryWaits is the store's.
func (m *model) EntryWaits(key uint64) (bool, error) {
	_, waits := m.entries[key]
	return waits, nil
}

// lookFirst, lookOn and plan are the steps of [Trimmer.look].
func (m *model) lookFirst() {
	left := m.t.left
	m.t.left = published{store: m, before: left.now, now: map[uint64]bool{}}
	m.look = &lookAt{seen: Seen{
		Streams: map[string]*Stream{}, Buckets: map[string]*Bucket{}, Published: m.t.left.has, Waits: m.t.left.waits,
		Feeds: map[string][]string{"mailer": {stream.Users}, "notifier": {stream.Users}},
	}}
	for s, b := range m.beds {
		m.look.seen.Buckets[s] = &Bucket{
			First: b.first, Last: b.last, Records: uint64(len(b.records)), Bytes: 1, Created: time.Unix(1, 0), Since: m.now, Read: b.read,
		}
	}
}

func (m *model) lookOn() {
	f := m.t.firsts[stream.Users]
	if f == nil {
		f = &firsts{}
		m.t.firsts[stream.Users] = f
	}
	full := uint64(0)
	if m.full {
		full = 1 << 20
	}
	m.look.seen.Streams[stream.Users] = &Stream{
		Bytes: full, Refused: m.full,
		First: m.first, Last: m.last, Messages: uint64(len(m.msgs)), MaxBytes: 1 << 20, Position: m.position, Recorded: 1 << 60,
		Oldest: f.note(m.now, m.first, grace),
	}
}

func (m *model) plan(t *rapid.T) {
	m.look.seen.Streams[stream.Users].Read = m.read
	m.look.orders = Plan(&m.look.seen, m.rows(t))
}

// act does what was ordered, or a part of it.
func (m *model) act(t *rapid.T, all bool) {
	o, seen := m.look.orders, &m.look.seen
	m.look = nil
	if below := o.Streams[stream.Users]; below > 0 {
		m.purge(below)
	}
	if !all && rapid.Bool().Draw(t, "cut short") {
		return
	}
	for service, c := range o.Buckets {
		b := m.beds[service]
		m.put(b, stream.OpenKey, event.Record{})
		for _, r := range c.Again {
			if rec, there := b.records[r.Job]; there && rec.seq == r.Revision {
				m.put(b, r.Job, rec.r)
			}
		}
		b.purge(m, c.Below)
	}
	for _, s := range o.Settle {
		if j := m.jobs[s.Key]; gone(j, seen.Streams[s.Stream]) && newest(j) == s.Entry {
			delete(m.window, s.Key)
		}
	}
}
