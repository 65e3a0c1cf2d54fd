package claim

import (
	"slices"
	"strconv"
	"time"

	"pgregory.net/rapid"

	"handoff/shared/event"
)

// The model: one task's record under compare-and-set, messages that ask for it, and processes that die, wake and race. Every
// step of a process is an action of its own: what it read may be out of date when it writes.
const (
	attemptsMax = 3
	processes   = 3
	tick        = ackWait / 16 // time moves by these, and holders touch in time
)

type model struct {
	now      time.Time
	record   *event.Record
	revision uint64

	messages   []*message
	deliveries []*delivery
	holders    []*holder
	tokens     int
	generation int // highest asked for

	attempts int // that the record should say: claims of this generation, less those after a release
	spent    int // attempts of this generation that failed or died with their process
	begun    map[int]int
}

type message struct {
	generation int
	visible    time.Time // when the server may deliver it (again)
	answered   bool
}

type delivery struct {
	m       *message
	process int
	alive   time.Time

	known    bool
	record   *event.Record
	revision uint64
	watching uint64 // revision at the begin of the watch
	until    time.Time
	watched  uint64
}

type holder struct {
	process  int
	token    string
	record   *event.Record
	revision uint64
	touched  time.Time
	attached []*message
}

func newModel() *model {
	m := &model{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), begun: map[int]int{}}
	m.messages = []*message{{visible: m.now}}
	return m
}

// write is the compare-and-set; it checks what must hold of every write.
func (m *model) write(t *rapid.T, r *event.Record, revision uint64) bool {
	if revision != m.revision {
		return false
	}
	if old := m.record; old != nil {
		if r.Generation < old.Generation {
			t.Fatalf("the generation fell from %d to %d", old.Generation, r.Generation)
		}
		if old.State.Ended() && r.Generation == old.Generation {
			t.Fatalf("%s in generation %d was reopened as %s", old.State, old.Generation, r.State)
		}
		if old.State == event.Retrying && old.Due.After(m.now) {
			t.Fatalf("claimed %s before it was due", old.Due.Sub(m.now))
		}
	}
	m.record, m.revision = r, m.revision+1
	return true
}

func (m *model) live(token string) *holder {
	for _, h := range m.holders {
		if h.token == token {
			return h
		}
	}
	return nil
}

func (m *model) deliver(msg *message, process int) {
	msg.visible = m.now.Add(ackWait)
	m.deliveries = append(m.deliveries, &delivery{m: msg, process: process, alive: m.now})
}

func (m *model) drop(d *delivery) {
	m.deliveries = slices.DeleteFunc(m.deliveries, func(o *delivery) bool { return o == d })
}

// step takes a delivery one step on.
func (m *model) step(t *rapid.T, d *delivery) {
	switch {
	case d.watching != 0:
		if m.now.Before(d.until) {
			d.alive, d.m.visible = m.now, m.now.Add(ackWait)
			return
		}
		d.watched, d.watching, d.known = d.watching, 0, false
	case !d.known:
		d.record, d.revision, d.known = m.record, m.revision, true
	default:
		m.act(t, d)
	}
}

func (m *model) act(t *rapid.T, d *delivery) {
	var own *holder
	if d.record != nil {
		if own = m.live(d.record.Holder); own != nil && own.process != d.process {
			own = nil
		}
	}
	dec := Decide(Input{
		Now: m.now, AckWait: ackWait, Silent: m.now.Sub(d.alive), Asked: true, Generation: d.m.generation, Attempts: attemptsMax,
		Record: d.record, Revision: d.revision, Mine: own != nil, Watched: d.watched, WatchSpace: d.watched == 0,
	})
	d.watched, d.known = 0, false
	switch dec.Action {
	case Drop:
		m.drop(d)
	case Skip:
		d.m.answered = true
		m.drop(d)
	case Later:
		d.m.visible = m.now.Add(dec.Delay)
		m.drop(d)
	case Create, TakeOver:
		m.begin(t, d)
	case Bury:
		if d.record != nil && d.revision == m.revision && m.spent < attemptsMax {
			t.Fatalf("buried after %d attempts that counted", m.spent)
		}
		if m.write(t, Buried(d.record, d.m.generation, m.token(), "", dec.Reason, m.now), d.revision) {
			d.m.answered = true
			m.drop(d)
		}
	case Attach:
		own.attached = append(own.attached, d.m)
		m.drop(d)
	case Watch:
		d.watching, d.until = d.revision, m.now.Add(ackWait/2)
	}
}

func (m *model) token() string {
	m.tokens++
	return strconv.Itoa(m.tokens)
}

func (m *model) begin(t *rapid.T, d *delivery) {
	r := Begin(d.record, d.m.generation, m.token(), "", m.now)
	if !m.write(t, r, d.revision) {
		return
	}
	switch prev := d.record; {
	case prev == nil || prev.Generation < r.Generation:
		m.attempts, m.spent = 1, 0
	case !prev.Released:
		m.attempts++
	}
	if r.Attempt != m.attempts || r.Attempt > attemptsMax {
		t.Fatalf("attempt %d, want %d", r.Attempt, m.attempts)
	}
	if d.record != nil && r.Claim != d.record.Claim+1 {
		t.Fatalf("claim %d after %d", r.Claim, d.record.Claim)
	}
	if len(m.holders) != 0 {
		t.Fatalf("claim %d begins while %d live", r.Claim, len(m.holders))
	}
	m.begun[r.Claim]++
	if m.begun[r.Claim] != 1 {
		t.Fatalf("claim %d has begun %d times", r.Claim, m.begun[r.Claim])
	}
	m.holders = append(m.holders, &holder{process: d.process, token: r.Holder, record: r, revision: m.revision, touched: m.now, attached: []*message{d.m}})
	m.drop(d)
}

// pass lets time go by; living holders touch in time, and keep their deliveries.
func (m *model) pass(t *rapid.T, d time.Duration) {
	for ; d > 0; d -= tick {
		m.now = m.now.Add(tick)
		for _, h := range slices.Clone(m.holders) {
			if m.now.Sub(h.touched) < ackWait/4 {
				continue
			}
			if !m.write(t, h.record, h.revision) {
				t.Fatalf("the living holder %s was replaced by %+v", h.token, m.record)
			}
			h.revision, h.touched = m.revision, m.now
			for _, msg := range h.attached {
				msg.visible = m.now.Add(ackWait)
			}
		}
		for _, dl := range m.deliveries {
			if dl.watching != 0 && m.now.Sub(dl.alive) >= ackWait/4 {
				dl.alive, dl.m.visible = m.now, m.now.Add(ackWait)
			}
		}
	}
}

func (m *model) end(t *rapid.T, h *holder, o Outcome) {
	r := End(h.record, o, attemptsMax, nil, m.now)
	if !m.write(t, r, h.revision) {
		t.Fatalf("the living holder %s could not record its end", h.token)
	}
	m.holders = slices.DeleteFunc(m.holders, func(x *holder) bool { return x == h })
	if o.Err != nil && !o.Release {
		m.spent++
	}
	for _, msg := range h.attached {
		if msg.generation > r.Generation {
			t.Fatalf("generation %d answers for %d", r.Generation, msg.generation)
		}
		if r.State.Ended() {
			msg.answered = true
		} else {
			msg.visible = *r.Due
		}
	}
}

func (m *model) crash(process int) {
	before := len(m.holders)
	m.holders = slices.DeleteFunc(m.holders, func(h *holder) bool { return h.process == process })
	m.spent += before - len(m.holders)
	m.deliveries = slices.DeleteFunc(m.deliveries, func(d *delivery) bool { return d.process == process })
}

func (m *model) deliverable() []*message {
	var all []*message
	for _, msg := range m.messages {
		if !msg.answered && !msg.visible.After(m.now) {
			all = append(all, msg)
		}
	}
	return all
}
