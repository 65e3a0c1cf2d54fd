package model

// accept takes one job, and a client that asks again.
func (m *model) accept(s State, do emit) {
	a := &s.API
	if !a.Accepted && !a.Fresh {
		t := s
		t.API.Accepted, t.API.Known = true, true
		do("api accepts", -1, true, t)
	}
	if a.Accepted && a.Fresh && !a.Known && !a.HasLeft && !a.Excused && m.AcceptBeforeRead {
		t := s
		t.API.Broke = Twice
		do("api accepts the same request again", -1, false, t)
	}
}

// users cancel and redrive. Both are in api.db first.
func (m *model) users(s State, do emit) {
	a := &s.API
	if !a.Known || a.Fresh {
		return
	}
	if a.Cancels > 0 && s.unended(m.Asked) {
		t := s
		t.API.Cancels--
		for v := range m.Asked {
			if x := &t.Svc[v].Task; !x.State.ended() {
				x.State, x.CancelDue = Cancelled, true
				m.hold(&t, v)
			}
		}
		do("user cancels", -1, false, t)
	}
	for v := range m.Asked {
		x := s.Svc[v].Task
		if a.Redrives > 0 && (x.State == Dead || x.State == Cancelled) {
			t := s
			t.API.Redrives--
			gen := x.Gen + 1
			if m.RedriveAtSameGeneration {
				gen = x.Gen
			}
			t.Svc[v].Task = Task{Gen: gen, Message: x.Message, OnDisk: x.OnDisk, Entry: Pending, Unread: x.Unread}
			t.Stream.Ids &^= 2 << v
			t.Svc[v].Truth.Asked = x.Gen + 2
			do("user redrives", v, false, t)
		}
	}
}

// reissue adds an entry for v's task, passed over while the newest one was not relayed.
func (m *model) reissue(s *State, v int) bool {
	x := &s.Svc[v].Task
	if x.Entry == Pending || x.Entry == NoEntry && !s.API.Relayed {
		if m.ReissueUnrelayed && x.Entry == Pending {
			s.Svc[v].Truth.Reissued++
			return true
		}
		return false
	}
	x.Entry = Pending
	s.Stream.Ids &^= 2 << v // its log key makes a new message id
	return true
}

// relay publishes the accept and the entries, and skips what has ended or gone on.
func (m *model) relay(s State, do emit) {
	a := &s.API
	if t := s; a.Phase == Ready && m.store(&t) {
		do("api stores positions and marks", -1, true, t)
	}
	if a.Phase != Ready && !m.RelayEarly || !s.Stream.Exists {
		return
	}
	if a.Accepted && !a.Relayed {
		skip := true
		for v := range m.Asked {
			x := s.Svc[v].Task
			skip = skip && (x.State.ended() || x.Gen > 0 || x.Entry != NoEntry)
		}
		t := s
		t.API.Relayed = true
		if !a.Known || skip && !m.RelayEnded {
			do("relay skips the accept", -1, true, t)
		} else {
			m.publish(t, Message{}, "relay publishes the event", -1, do)
		}
	}
	for v := range m.Asked {
		x := s.Svc[v].Task
		if x.Entry != Pending {
			continue
		}
		t := s
		t.Svc[v].Task.Entry = Sent
		if !a.Known || x.State.ended() && !m.RelayEnded {
			do("relay skips the entry", v, true, t)
		} else {
			m.publish(t, Message{For: uint8(v + 1), Gen: x.Gen}, "relay publishes the entry", v, do)
		}
	}
}

// publish stores a message, or finds its id in the duplicate window, which may have passed.
func (m *model) publish(t State, msg Message, what string, v int, do emit) {
	id := uint8(1) << msg.For
	st := &t.Stream
	if st.Ids&id != 0 {
		u := t
		for i := int(st.Count) - 1; i >= 0; i-- {
			if st.Msgs[i].For == msg.For && st.Msgs[i].Gen == msg.Gen {
				u.acked(m, msg, st.First+uint8(i), true)
				break
			}
		}
		do(what+", a duplicate", v, true, u)
	}
	if st.Count == room {
		t.API.Broke = Endless
		do(what+" into a stream that only grows", v, true, t)
		return
	}
	st.Msgs[st.Count] = msg
	st.Count++
	st.Ids |= id
	t.acked(m, msg, st.last(), false)
	do(what, v, true, t)
}

// acked is what a PubAck means: the message of each task that it addresses, the mark, or the proof of a loss.
func (s *State) acked(m *model, msg Message, seq uint8, duplicate bool) {
	a := &s.API
	for v := range m.Asked {
		if msg.addresses(v) {
			x := &s.Svc[v].Task
			if !m.counts(s, msg, x, seq) {
				continue
			}
			if seq > x.Message || m.MessageGoesBack {
				x.Message = seq
			}
		}
	}
	switch above := a.Mark.Epoch == s.Stream.Epoch && seq > a.Mark.Seq; {
	case above:
		a.Mark.Seq = seq
	case !duplicate && !m.PubAckProvesNothing:
		a.Lost, a.Again = true, true
		if a.Phase == Ready {
			a.Phase = Look
		}
	case !duplicate:
		a.Mark = Mark{s.Stream.Epoch, seq}
	}
}

// store keeps positions and marks, as the api does with a later accept or within a second.
func (m *model) store(s *State) bool {
	before := *s
	s.API.RelayedDisk, s.API.MarkDisk = s.API.Relayed, s.API.Mark
	for v := range m.Asked {
		x := &s.Svc[v].Task
		x.OnDisk = x.Message
		if x.Entry == Sent {
			x.Entry = Stored
		}
	}
	return *s != before
}
