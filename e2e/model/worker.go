package model

// service is what the workers of one service do next.
func (m *model) service(s State, v int, do emit) {
	x := &s.Svc[v]
	if x.Down {
		t := s
		t.Svc[v].Down = false
		do("service comes up", v, true, t)
		return
	}
	if s.API.Stops > 0 && x.Workers[0].At == Idle && x.Workers[1].At == Idle {
		t := s
		t.API.Stops--
		t.Svc[v].Down = true
		t.Svc[v].Workers = [workers]Worker{}
		do("service is stopped for long", v, false, t)
	}
	for i := range m.Workers {
		switch x.Workers[i].At {
		case Idle:
			m.deliver(s, v, i, do)
		case Awaits:
			m.awaitOpen(s, v, i, do)
		case Begun:
			m.work(s, v, i, do)
		case Effected:
			m.end(s, v, i, do)
		case Recorded:
			if !s.API.Away {
				t := s
				t.giveBack(v, i, Acked)
				do("worker acks", v, true, t)
			}
		}
	}
}

// deliver hands the worker each message that waits, and decides by the record what that means.
func (m *model) deliver(s State, v, i int, do emit) {
	x, st := &s.Svc[v], &s.Stream
	if s.API.Away || !st.Exists || !x.Bucket {
		return
	}
	for k := st.Hidden; k < st.Count; k++ {
		msg, r := st.Msgs[k], x.Record
		if !msg.addresses(v) || msg.At[v] != Waits {
			continue
		}
		t := s
		t.Svc[v].Delivered = max(x.Delivered, st.First+k)
		switch {
		case r.State.ended() && r.Gen >= msg.Gen:
			t.Stream.Msgs[k].At[v] = Acked
			do("worker finds that it has ended, acks", v, true, t)
		case r.State == Running && s.living(v) && !m.ClaimWithoutCompare:
			// its holder lives: nak
		default:
			m.claim(t, v, i, k, do)
		}
	}
}

func (m *model) claim(t State, v, i int, k uint8, do emit) {
	x := &t.Svc[v]
	w := &x.Workers[i]
	if !x.Open && w.Open == NotLooked && !m.OpenNotAwaited {
		return // it waits for _open before its first claim after a connect
	}
	msg := &t.Stream.Msgs[k]
	gen, claim := max(x.Record.Gen, msg.Gen), min(x.Record.Claim+1, 3)
	t.write(v, Record{Running, gen, claim, uint8(i + 1)})
	msg.At[v] = InHands
	if m.AckBeforeRecord {
		msg.At[v] = Acked
	}
	*w = Worker{Begun, t.Stream.First + k, gen, claim, w.Open}
	switch {
	case x.Open:
		w.Open = Looked
	case w.Open == MadeAnew && !m.OpenNotAwaited:
		w.At = Awaits
		do("worker claims, waits for _open", v, true, t)
		return
	}
	m.begin(&t, v, gen)
	do("worker claims", v, true, t)
}

// begin is checked: nothing that has ended begins again.
func (m *model) begin(s *State, v int, gen uint8) {
	if h := s.Svc[v].Truth; h.Ended > gen && !h.Window {
		s.API.Broke = Rises
	}
}

func (m *model) awaitOpen(s State, v, i int, do emit) {
	x := &s.Svc[v]
	if s.API.Away || !x.Bucket {
		return
	}
	t := s
	switch {
	case x.Record.Holder != uint8(i+1):
		t.giveBack(v, i, Waits)
		do("worker lost its waiting claim", v, true, t)
	case x.Open:
		t.Svc[v].Workers[i].At, t.Svc[v].Workers[i].Open = Begun, Looked
		m.begin(&t, v, x.Workers[i].Gen)
		do("worker finds _open, begins", v, true, t)
	}
}

// takesBack says whether a holder that has begun overwrites a claim that has not.
func (m *model) takesBack(s *State, v, i int) bool {
	x := &s.Svc[v]
	return x.Workers[i].begun() && x.Bucket && !x.Open && x.Record.State == Running && x.Record.Holder != uint8(i+1) && !m.WaitingClaimHolds
}

// work is before the effect: the holder minds its record, does the effect, or fails.
func (m *model) work(s State, v, i int, do emit) {
	x := &s.Svc[v]
	w := x.Workers[i]
	mine := x.Record.Holder == uint8(i+1) && x.Record.State == Running
	if !s.API.Away && x.Bucket && !mine {
		t := s
		switch {
		case m.takesBack(&s, v, i) || x.Record == Record{} && !m.NoPutBack:
			t.putBack(v, i)
			do("holder puts its record back", v, true, t)
			if x.Record != (Record{}) {
				return
			}
		case x.Record != Record{} && !m.ClaimWithoutCompare:
			t.giveBack(v, i, Waits)
			do("holder is replaced", v, true, t)
		}
	}
	t := s
	t.Svc[v].Workers[i].At = Effected
	if x.Truth.Effect > w.Gen && !x.Truth.Window {
		t.API.Broke = Twice
	}
	t.Svc[v].Truth.Effect = max(x.Truth.Effect, w.Gen+1)
	do("EFFECT", v, true, t)
	if !mine || s.API.Away || !x.Bucket {
		return
	}
	if s.API.Fails > 0 {
		t := s
		t.API.Fails--
		t.write(v, Record{Retrying, w.Gen, w.Claim, 0})
		t.giveBack(v, i, Waits)
		do("handler fails, worker records retrying, naks", v, false, t)
	}
	if s.API.Deads > 0 {
		t := s
		t.API.Deads--
		t.write(v, Record{Dead, w.Gen, w.Claim, 0})
		t.Svc[v].Workers[i].At = Recorded
		do("handler fails for good, worker records dead", v, false, t)
	}
}

// end is after the effect: recorded first.
func (m *model) end(s State, v, i int, do emit) {
	x := &s.Svc[v]
	w := x.Workers[i]
	if s.API.Away || !x.Bucket {
		return
	}
	t := s
	switch mine := x.Record.Holder == uint8(i+1) && x.Record.State == Running; {
	case m.takesBack(&s, v, i):
		t.putBack(v, i)
		do("holder puts its record back", v, true, t)
	case mine || x.Record == Record{} || m.ClaimWithoutCompare:
		t.write(v, Record{Succeeded, w.Gen, w.Claim, 0})
		t.Svc[v].Workers[i].At = Recorded
		do("worker records succeeded", v, true, t)
	default:
		t.giveBack(v, i, Waits)
		do("worker's end is refused", v, true, t)
	}
}

func (s *State) putBack(v, i int) {
	w := &s.Svc[v].Workers[i]
	w.Claim = max(w.Claim, s.Svc[v].Record.Claim)
	s.write(v, Record{Running, w.Gen, w.Claim, uint8(i + 1)})
}

// giveBack empties the worker's hands.
func (s *State) giveBack(v, i int, at Delivery) {
	x, st := &s.Svc[v], &s.Stream
	w := &x.Workers[i]
	if k := w.Seq - st.First; st.Exists && w.Seq >= st.low() && w.Seq <= st.last() && w.Seq <= x.Delivered && st.Msgs[k].At[v] == InHands {
		st.Msgs[k].At[v] = at
	}
	if r := &x.Record; r.State == Running && r.Holder == uint8(i+1) {
		r.Holder = nobody
	}
	*w = Worker{Open: w.Open}
}
