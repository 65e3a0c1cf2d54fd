package model

// sweep looks after what nothing else moves. Minutes have passed without a change of the task: nothing of it is
// read later, in hands, or waits where a worker would take it.
func (m *model) sweep(s State, do emit) {
	a := &s.API
	if m.NoSweep || a.Phase != Ready || !a.Known || s.missing(m.Asked) || !m.caughtUp(&s) {
		return
	}
	for v := range m.Asked {
		x := &s.Svc[v]
		if x.Task.State.ended() || x.Workers[0].At != Idle || x.Workers[1].At != Idle || !x.Down && s.deliverable(v) {
			continue
		}
		t := s
		if x.Task.Message > x.Delivered && !m.ReissueWaiting || !a.Relayed && x.Task.Entry == NoEntry {
			continue // it waits
		}
		switch r := x.Record; {
		case r != Record{} && r.said() > x.Task.said():
			m.readRecord(&t, v)
			do("sweep projects the record", v, true, t)
		case s.living(v), r.State.ended() && r.Gen >= x.Task.Gen:
		default:
			if m.reissue(&t, v) {
				t.Svc[v].Truth.Reissued++
				if t.Svc[v].Truth.Reissued > 3 {
					t.API.Broke = Endless
				}
				do("sweep reissues", v, true, t)
			}
		}
	}
}

// deliverable says whether a message waits that v's consumer would hand to a worker.
func (s *State) deliverable(v int) bool {
	for _, msg := range s.Stream.Msgs[s.Stream.Hidden:s.Stream.Count] {
		if msg.addresses(v) && msg.At[v] == Waits {
			return true
		}
	}
	return false
}

// trim is the one remover: of messages, then of records and of the job.
func (m *model) trim(s State, do emit) {
	a, st := &s.API, &s.Stream
	if a.Phase == Look || !st.Exists {
		return
	}
	if a.Phase == Ready && a.Stragglers > 0 && a.Known {
		m.stragglers(s, do)
	}
	low := m.lowest(&s)
	if low > st.low() {
		t := s
		t.Stream.Hidden = low - st.First
		do("trim purges the stream", -1, true, t)
		return // buckets only after the streams are purged as far as they were
	}
	if a.Read != st.last() {
		return
	}
	for v := range m.Asked {
		if x := &s.Svc[v]; x.Bucket && x.Record != (Record{}) && m.recordMayGo(&s, v) {
			t := s
			t.Svc[v].Record = Record{}
			do("trim purges the bucket", v, false, t)
		}
	}
	if m.jobMayLeave(&s) {
		t := s
		t.API.Known, t.API.HasLeft = false, true
		for v := range m.Asked {
			t.Svc[v].Task = Task{Unread: s.Svc[v].Task.Unread}
		}
		do("the job leaves api.db", -1, false, t)
	}
	if st.Hidden > 0 {
		t := s
		t.Stream.dropHidden()
		do("what was purged can't come back", -1, true, t)
	}
}

func (m *model) stragglers(s State, do emit) {
	t, any := s, false
	t.API.Stragglers--
	for v := range m.Asked {
		if !s.Svc[v].Task.State.ended() && s.inStream(v) {
			any = m.reissue(&t, v) || any
		}
	}
	if any {
		do("trim reissues stragglers", -1, false, t)
	}
}

// lowest is the sequence below which the stream may be purged.
func (m *model) lowest(s *State) uint8 {
	a := &s.API
	low := a.Read + 1
	for v := range m.Asked {
		x := s.Svc[v].Task
		if a.Known && !x.State.ended() && x.Message != 0 && !m.PurgeAboveLowest {
			low = min(low, x.Message)
		}
	}
	if a.Accepted && !a.RelayedDisk {
		return 0
	}
	return low
}

func (m *model) recordMayGo(s *State, v int) bool {
	x := s.Svc[v].Task
	if x.Unread || s.API.Known && !x.State.ended() {
		return false
	}
	if s.inStream(v) && !m.PurgeRecordOfMessage {
		return false
	}
	if s.hidden(v) && !m.PurgeRecordSoon {
		return false
	}
	return s.API.RelayedDisk || m.PurgeRecordUnrelayed // else the event may be published again
}

func (m *model) jobMayLeave(s *State) bool {
	a := &s.API
	if a.Phase != Ready || !a.Known || !a.RelayedDisk || s.unended(m.Asked) {
		return false
	}
	for v := range m.Asked {
		x := s.Svc[v].Task
		if s.inStream(v) || x.State == Dead || x.CancelDue || s.hidden(v) && !m.JobLeavesSoon {
			return false
		}
	}
	return true
}

func (s *Stream) dropHidden() {
	var kept [room]Message
	copy(kept[:], s.Msgs[s.Hidden:s.Count])
	s.Msgs = kept
	s.First += s.Hidden
	s.Count -= s.Hidden
	s.Hidden = 0
}
