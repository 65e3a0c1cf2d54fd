package lease

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/commit"
)

const modelTakeOver = 15 * time.Second

// A world is some files, the processes on them, one at a time on each, and a NATS that holds one lease.
type world struct {
	now      time.Time
	owner    string
	lease    *Record
	revision uint64
	files    []*file
	led      *file // the last one that did
}

type file struct {
	name    string
	start   uint64 // as the file says
	store   string
	backup  uint64 // a start number that can be put back; 0 for none
	process *process
	current bool // it knows what others did that led before it
}

type process struct {
	mind      mind
	connected bool
	epoch     uint64
	looked    bool
	write     *write // on its way
}

type write struct {
	d        Decision
	record   Record
	revision uint64 // that it replaces
	sent     time.Time
}

// at is the revision of the lease, 0 when there is none.
func (w *world) at() uint64 {
	if w.lease == nil {
		return 0
	}
	return w.revision
}

// writing reports whether a write is on its way. One that is to make the lease would not notice that it was made, and deleted,
// meanwhile: then two lead until the next look, which both take at once.
func (w *world) writing() bool {
	for _, f := range w.files {
		if f.process != nil && f.process.write != nil {
			return true
		}
	}
	return false
}

func (w *world) leaders() []string {
	var names []string
	for _, f := range w.files {
		if p := f.process; p != nil && p.connected && p.mind.leads && w.now.Sub(p.mind.sent) < p.mind.valid {
			names = append(names, f.name)
		}
	}
	return names
}

// check fails when two lead, or one that does not know what others did before it.
func (w *world) check(t *rapid.T) {
	for _, f := range w.files {
		p := f.process
		if p == nil || !p.connected || !p.mind.leads || w.now.Sub(p.mind.sent) >= p.mind.valid {
			continue
		}
		if w.led != nil && w.led != f && !f.current {
			t.Fatalf("%s leads after %s, and does not know what that did", f.name, w.led.name)
		}
		if w.led != f {
			for _, other := range w.files {
				other.current = false
			}
		}
		w.led = f
	}
	if l := w.leaders(); len(l) > 1 {
		t.Fatalf("%v lead at one time", l)
	}
}

// catchUp has who holds the lease learn what others have done.
func (f *file) catchUp() {
	f.start, f.current = f.process.mind.next(), true
	f.process.mind.current(f.start)
}

func (f *file) open() {
	f.start++
	f.process = &process{mind: newMind(commit.Identity{Store: f.store, File: f.name, Start: f.start}, modelTakeOver), connected: true}
}

// look has a process look, and send a write if it comes to that.
func (w *world) look(t *rapid.T, f *file) {
	p := f.process
	var found *Record
	if w.lease != nil {
		r := *w.lease
		found = &r
	}
	d := p.mind.look(w.now, p.epoch, w.owner, found, w.at())
	restart := !p.looked && found != nil && found.File == f.name && found.Start <= p.mind.me.Start
	p.looked = p.looked || d.Action != Adopt
	switch d.Action {
	case Adopt:
		f.store, p.mind.me.Store = d.Store, d.Store
		w.look(t, f)
		return
	case Refuse:
		t.Fatalf("%s takes its own store for a stranger's: %+v", f.name, found)
	case Found, Keep, Claim:
		p.write = &write{d: d, record: p.mind.record(d), revision: w.at(), sent: w.now}
	}
	if restart && d.Action != Claim {
		t.Fatalf("a restart of %s has to wait: %v, found %+v", f.name, d, found)
	}
}

// arrive has a write reach NATS, and its answer the process.
func (w *world) arrive(f *file, answer bool) {
	p := f.process
	out := p.write
	p.write = nil
	if w.at() != out.revision {
		return
	}
	w.put(out.record)
	if !answer || !p.connected {
		return
	}
	if out.d.Action == Found {
		f.store, p.mind.me.Store = out.record.Store, out.record.Store
	}
	p.mind.wrote(out.d, out.sent)
}

// put makes r the lease. The bucket that it is in says whose it is.
func (w *world) put(r Record) {
	w.owner = r.Store
	w.lease = &r
	w.revision++
	w.hear()
}

// hear tells who is connected that the lease has been written.
func (w *world) hear() {
	for _, f := range w.files {
		if f.process != nil && f.process.connected {
			f.process.mind.watch.lost()
		}
	}
}

// stop gives the lease back.
func (w *world) stop(f *file) {
	p := f.process
	f.process = nil
	if p.mind.holding && p.connected && w.lease != nil && w.lease.Token == p.mind.token {
		r := *w.lease
		r.Token = ""
		w.put(r)
	}
}

// step has something happen to a file and its process.
func (w *world) step(t *rapid.T, f *file, deletions bool) {
	what := rapid.IntRange(0, 29).Draw(t, "what")
	p := f.process
	if p == nil {
		switch {
		case what < 10:
			f.open()
		case what == 10 && f.backup > 0:
			f.start = f.backup
		case what == 11:
			f.backup = f.start
		}
		return
	}
	switch {
	case p.write != nil && w.now.Sub(p.write.sent) > beat(modelTakeOver):
		p.write = nil // it was given up
	case p.write != nil && what < 15:
		w.arrive(f, what > 0)
	case what < 15 && p.connected && p.write == nil:
		w.look(t, f)
	case what < 17:
		p.connected = false
	case what < 20 && !p.connected:
		p.connected, p.epoch = true, p.epoch+1
		p.mind.watch.lost()
	case what == 20:
		f.process = nil // kill -9
	case what == 21:
		w.stop(f)
	case what < 25 && p.mind.holding && !p.mind.leads:
		f.catchUp()
	case what == 25 && deletions && !w.writing():
		w.lease = nil
		w.hear()
	}
}

func newWorld(n int) *world {
	w := &world{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for i := range n {
		w.files = append(w.files, &file{name: fmt.Sprintf("file-%d", i)})
	}
	return w
}

// Whatever is killed, cut off, put back or deleted: never do two files lead at one time, and a restart never waits. In the
// end there is a leader, and it stays.
func TestNeverDoTwoFilesLead(t *testing.T) {
	t.Parallel()
	for name, deletions := range map[string]bool{"the lease is kept": false, "the lease is deleted now and then": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(rapid.IntRange(1, 3).Draw(t, "files"))
				for range rapid.IntRange(10, 300).Draw(t, "steps") {
					w.now = w.now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
					w.step(t, rapid.SampledFrom(w.files).Draw(t, "file"), deletions)
					w.check(t)
				}
				w.settle(t)
			})
		})
	}
}

// settle lets everything run undisturbed for two take-overs and one more look.
func (w *world) settle(t *rapid.T) {
	var last []string
	for round := range 15 {
		for _, f := range w.files {
			if f.process == nil {
				f.open()
			}
			p := f.process
			if !p.connected {
				p.connected, p.epoch = true, p.epoch+1
			}
			p.write = nil
			w.look(t, f)
			if p.write != nil {
				w.arrive(f, true)
			}
			if p.mind.holding && !p.mind.leads {
				f.catchUp()
			}
			w.check(t)
		}
		w.now = w.now.Add(beat(modelTakeOver))
		if round == 12 {
			last = w.leaders()
		}
	}
	if l := w.leaders(); len(l) != 1 || len(last) != 1 || l[0] != last[0] {
		t.Fatalf("in the end %v lead, before that %v", l, last)
	}
}
