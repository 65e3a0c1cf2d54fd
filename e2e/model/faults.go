package model

import "slices"

// fault takes the next fault from what may happen.
func (m *model) fault(s State, f Fault) (State, bool) {
	a := &s.API
	switch {
	case a.Faults[0] == NoFault && slices.Contains(m.First, f):
		a.Faults[0] = f
	case a.Faults[0] != NoFault && a.Faults[1] == NoFault && slices.Contains(m.Then, f):
		a.Faults[1] = f
	default:
		return s, false
	}
	for v := range s.Svc {
		s.Svc[v].Truth.Reissued = 0
	}
	return s, true
}

// ahead says whether f may still happen.
func (m *model) ahead(s *State, f Fault) bool {
	switch {
	case s.API.Faults[0] == NoFault:
		return slices.Contains(m.First, f) || slices.Contains(m.Then, f)
	case s.API.Faults[1] == NoFault:
		return slices.Contains(m.Then, f)
	}
	return false
}

func (m *model) faults(s State, do emit) {
	m.crashes(s, do)
	if s.API.Away {
		return
	}
	if t, ok := m.fault(s, NATSAway); ok {
		t.API.Away = true
		do("NATS AWAY", -1, false, t)
	}
	if s.API.Fresh {
		return // a store is lost after the other only when the api has reported ready in between
	}
	if t, ok := m.fault(s, PowerLoss); ok {
		m.powerLoss(t, do)
	}
	if t, ok := m.fault(s, TailLost); ok {
		t.reconnect()
		for t.Stream.Count > t.Stream.Hidden {
			t.Stream.cut(1)
			for v := range t.Svc {
				t.Svc[v].Delivered = min(t.Svc[v].Delivered, t.Stream.last())
			}
			do("THE STREAM'S TAIL IS LOST", -1, false, t)
		}
	}
	if t, ok := m.fault(s, StreamLost); ok && s.Stream.Exists {
		t.Stream = Stream{Epoch: s.Stream.Epoch, First: 1}
		t.API.Again = true
		for v := range t.Svc {
			t.Svc[v].Delivered = 0
		}
		do("STREAM LOST", -1, false, t)
	}
	for v := range m.Asked {
		if t, ok := m.fault(s, BucketLost); ok && s.Svc[v].Bucket {
			x := &t.Svc[v]
			x.Truth.Window = x.Truth.Window || x.Task.Unread && x.Record.State.ended()
			x.Bucket, x.Open, x.Short, x.Record, x.Task.Unread = false, false, false, Record{}, false
			t.API.Again = true
			do("BUCKET LOST", v, false, t)
		}
	}
	if t, ok := m.fault(s, DBLost); ok && m.ready(&s) {
		m.loseDB(&t)
		do("API.DB LOST, the api starts again", -1, false, t)
	}
}

func (m *model) crashes(s State, do emit) {
	for v := range m.Asked {
		for i, w := range s.Svc[v].Workers[:m.Workers] {
			if t, ok := m.fault(s, WorkerCrash); ok && w.At != Idle {
				if w.At == Effected {
					t.Svc[v].Truth.Window = true
				}
				t.giveBack(v, i, Waits)
				t.Svc[v].Workers[i] = Worker{}
				do("WORKER CRASH", v, false, t)
			}
		}
	}
	if t, ok := m.fault(s, APICrash); ok {
		a := &t.API
		a.Relayed, a.Mark = a.RelayedDisk, a.MarkDisk
		for v := range t.Svc {
			x := &t.Svc[v].Task
			x.Message = x.OnDisk
			if x.Entry == Sent {
				x.Entry = Pending
			}
		}
		t.apiLooks()
		do("API CRASH, it starts again", -1, false, t)
	}
}

// apiLooks is what each connect begins with.
func (s *State) apiLooks() {
	s.API.Phase, s.API.Lost, s.API.Again = Look, false, false
	for v := range s.Svc {
		s.Svc[v].Lost = false
	}
}

func (s *State) reconnect() {
	s.apiLooks()
	for v := range s.Svc {
		for i := range s.Svc[v].Workers {
			s.Svc[v].Workers[i].Open = NotLooked
		}
	}
}

// redeliver: an AckWait has passed for whatever was in hands.
func (s *State) redeliver() {
	for k := range s.Stream.Count {
		for v := range s.Svc {
			if at := &s.Stream.Msgs[k].At[v]; *at == InHands {
				*at = Waits
			}
		}
	}
}

// powerLoss takes the newest writes of the stream, of each bucket, and of the consumers' state, in every combination.
func (m *model) powerLoss(s State, do emit) {
	s.reconnect()
	visible := s.Stream.Count - s.Stream.Hidden
	for lost := range visible + 1 {
		for variant := range 4 {
			t := s
			t.Stream.cut(lost)
			if variant&1 != 0 {
				t.Stream.Hidden = 0
			}
			for v := range t.Svc {
				t.Svc[v].Delivered = min(t.Svc[v].Delivered, t.Stream.last())
			}
			if variant&2 != 0 {
				t.redeliver()
				for k := range t.Stream.Count {
					t.Stream.Msgs[k].At = [services]Delivery{}
				}
			}
			m.rollBack(t, 0, do)
		}
	}
}

// cut takes the last messages, with their ids.
func (s *Stream) cut(lost uint8) {
	for range lost {
		s.Count--
		s.Ids &^= 1 << s.Msgs[s.Count].For
		s.Msgs[s.Count] = Message{}
	}
}

// rollBack puts the buckets from v on back by nothing, one write, or all there is.
func (m *model) rollBack(s State, v int, do emit) {
	if v == m.Asked {
		do("POWER LOSS", -1, false, s)
		return
	}
	m.rollBack(s, v+1, do)
	r := s.Svc[v].Record
	if !s.Svc[v].Bucket || r == (Record{}) {
		return
	}
	for _, older := range earlier(r) {
		t := s
		x := &t.Svc[v]
		x.Short, x.Truth.Window = !x.Task.Unread, true
		x.Record, x.Task.Unread = older, older != Record{}
		m.rollBack(t, v+1, do)
		if older == (Record{}) && m.First[0] != PowerLoss { // a bucket made anew may lose its _open
			t.Svc[v].Open = false
			m.rollBack(t, v+1, do)
		}
	}
}

// earlier are the record before r, and none.
func earlier(r Record) []Record {
	switch {
	case r.State != Running && r.Claim > 0:
		return []Record{{}, {Running, r.Gen, r.Claim, nobody}}
	case r.Claim > 1:
		return []Record{{}, {Retrying, r.Gen, r.Claim - 1, 0}}
	}
	return []Record{{}}
}

// ready says whether either store may be deleted now: nothing is missing, and reconcile's entries have been relayed.
func (m *model) ready(s *State) bool {
	for v := range m.Asked {
		if x := s.Svc[v].Task; !s.Svc[v].Open || x.Entry == Pending && x.Gen == 0 && !x.State.ended() {
			return false
		}
	}
	return s.API.Phase == Ready && !s.missing(m.Asked)
}

// loseDB empties api.db. What was never relayed is excused, redrives and cancels too.
func (m *model) loseDB(s *State) {
	a := &s.API
	a.Excused = a.Excused || a.Accepted && !a.Relayed
	a.HasLeft = a.HasLeft || a.Known && !s.unended(m.Asked)
	for v := range m.Asked {
		x := &s.Svc[v]
		if x.Task.Entry == Pending && x.Task.Gen > 0 || x.Task.CancelDue {
			a.Excused = a.Excused || !s.inStream(v)
			gen := x.Record.Gen
			for _, msg := range s.Stream.Msgs[s.Stream.Hidden:s.Stream.Count] {
				if msg.addresses(v) {
					gen = max(gen, msg.Gen)
				}
			}
			x.Truth.Asked = min(x.Truth.Asked, gen+1)
		}
		x.Task = Task{Unread: x.Record != Record{}}
		x.Short = false
	}
	a.Known, a.Relayed, a.RelayedDisk = false, a.Accepted, a.Accepted
	a.Mark = Mark{s.Stream.Epoch, s.Stream.last()}
	a.MarkDisk = a.Mark
	a.Read = s.Stream.low() - 1
	s.apiLooks()
	a.Fresh = true
}
