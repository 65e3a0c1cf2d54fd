package lease

import (
	"crypto/rand"
	"time"

	"handoff/services/api/internal/commit"
)

// A mind is what a process knows of the lease, from its looks and its writes. It reads no clock and does nothing.
type mind struct {
	me       commit.Identity
	token    string
	takeOver time.Duration
	valid    time.Duration // how long a write proves that nobody can have taken over

	held    bool      // the lease was ours in this process, with a file that is current
	seen    bool      // what was found last was another's
	ahead   uint64    // the highest start number that was found of our file
	holding bool      // the lease is ours
	reign   int       // how often it has become so
	behind  bool      // others have held it since our file knew
	leads   bool      // it is ours, and our file is current
	sent    time.Time // when the last write of it that was confirmed was sent
	watch   watch
}

func newMind(me commit.Identity, takeOver time.Duration) mind {
	return mind{me: me, token: rand.Text(), takeOver: takeOver, valid: takeOver * 2 / 3, watch: watch{gap: 3 * beat(takeOver)}}
}

// beat is the time between two looks.
func beat(takeOver time.Duration) time.Duration { return takeOver / 5 }

// look decides by what was found at a time, on a connection.
func (m *mind) look(at time.Time, epoch uint64, owner string, found *Record, revision uint64) Decision {
	if found != nil && found.File == m.me.File {
		m.ahead = max(m.ahead, found.Start)
	}
	d := Decide(Input{
		Me: m.me, Token: m.token, Owner: owner, Found: found,
		Held: m.held, Valid: m.holding && at.Sub(m.sent) < m.valid, Seen: m.seen, Ahead: m.ahead,
		Still: m.watch.saw(at, epoch, revision), TakeOver: m.takeOver,
	})
	if d.Action == StandBy || d.Action == Refuse {
		if m.holding && found != nil {
			m.token = rand.Text() // what we wrote before is never ours again
		}
		m.holding, m.leads = false, false
		m.seen = m.seen || found != nil
	}
	return d
}

// record is the lease as we write it.
func (m *mind) record(d Decision) Record {
	r := Record{Store: m.me.Store, File: m.me.File, Start: m.me.Start, Token: m.token}
	if d.Action == Found {
		r.Store = rand.Text()
	}
	// Until our file is current, whoever starts it again has to see that it was not.
	if d.Old {
		r.Start = m.ahead
	}
	m.behind = m.behind || d.Behind // even if the answer to this write gets lost
	r.Behind = m.behind
	return r
}

// wrote notes that a record which was sent at a time has become the lease.
func (m *mind) wrote(d Decision, sent time.Time) {
	if !m.holding {
		m.reign++
	}
	m.holding, m.leads, m.held, m.seen, m.sent = true, !d.Old && !m.behind, m.held || !d.Old, false, sent
}

// next is the start number of our file once it is current.
func (m *mind) next() uint64 { return max(m.ahead, m.me.Start) + 1 }

// current notes that our file knows all that there is to be known.
func (m *mind) current(start uint64) { m.me.Start, m.held, m.behind = start, true, false }

// A watch measures how long the lease has not moved. It begins anew whenever something might have been missed.
type watch struct {
	gap      time.Duration // between two looks; a longer one misses something
	epoch    uint64        // of the connection
	revision uint64        // that was seen; 0 for no lease
	since    time.Time     // zero: not looking
	last     time.Time
}

// saw notes what was found at a time on a connection, and gives how long it has been so.
func (w *watch) saw(at time.Time, epoch, revision uint64) time.Duration {
	if w.since.IsZero() || epoch != w.epoch || revision != w.revision || at.Sub(w.last) > w.gap {
		w.epoch, w.revision, w.since = epoch, revision, at
	}
	w.last = at
	return at.Sub(w.since)
}

// lost notes that nothing could be found out.
func (w *watch) lost() { w.since = time.Time{} }
