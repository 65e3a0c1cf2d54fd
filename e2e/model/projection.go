package model

// projection reads one message or one record, and folds it into what the api knows.
func (m *model) projection(s State, do emit) {
	a := &s.API
	if a.Phase == Look {
		return // the readers begin when it has looked
	}
	for v := range m.Asked {
		if s.Svc[v].Task.Unread && s.Svc[v].Bucket {
			t := s
			m.readRecord(&t, v)
			do("projection reads the record", v, true, t)
		}
	}
	if !s.Stream.Exists || a.Read >= s.Stream.last() {
		return
	}
	t := s
	t.API.Read = max(a.Read, s.Stream.low()-1)
	if t.API.Read < s.Stream.last() {
		t.API.Read++
		m.readMessage(&t)
	}
	do("projection reads a message", -1, true, t)
}

func (m *model) readMessage(s *State) {
	a := &s.API
	msg := s.Stream.Msgs[a.Read-s.Stream.First]
	if a.Mark.Epoch == s.Stream.Epoch {
		a.Mark.Seq = max(a.Mark.Seq, a.Read)
	}
	if a.MarkDisk.Epoch == s.Stream.Epoch {
		a.MarkDisk.Seq = max(a.MarkDisk.Seq, a.Read)
	}
	if !a.Known {
		a.Known = true
		a.Judge = true
	}
	for v := range m.Asked {
		if !msg.addresses(v) {
			continue
		}
		x := &s.Svc[v].Task
		if !m.counts(s, msg, x, a.Read) {
			continue
		}
		if a.Read > x.Message || m.MessageGoesBack {
			x.Message = a.Read
		}
		if a.Read > x.OnDisk || m.MessageGoesBack {
			x.OnDisk = a.Read
		}
		if msg.Gen > x.Gen {
			x.State, x.Gen, x.Claim = Queued, msg.Gen, 0
		}
	}
	if a.Read == s.Stream.last() && !a.Fresh {
		m.judge(s)
	}
}

// counts says whether a message is noted as the task's. One of an older generation does not have it done: the record that ended
// that generation has it skipped. It is noted only above one that does, whose record must outlast it.
func (m *model) counts(s *State, msg Message, x *Task, seq uint8) bool {
	return msg.Gen >= x.Gen || x.State.ended() || s.API.Fresh || x.Message != 0 && seq > x.Message || m.OlderCounts
}

// judge ends the tasks of a job that came out of a stream, where no message addresses them.
func (m *model) judge(s *State) {
	for v := range m.Asked {
		x := &s.Svc[v].Task
		if s.API.Judge && x.Message == 0 && !x.State.ended() && !m.RebuiltUnended {
			x.State = Succeeded
		}
	}
	s.API.Judge = false
}

func (m *model) readRecord(s *State, v int) {
	r, x := s.Svc[v].Record, &s.Svc[v].Task
	x.Unread = false
	if r == (Record{}) {
		return
	}
	final := x.State.ended() && r.Gen <= x.Gen && !m.EndIsNotFinal
	if m.LaterEndWins && r.State.ended() {
		final = false
	}
	differs := r.State != x.State || r.Gen != x.Gen
	switch {
	case final && differs:
		s.known(v, *x) // compare-and-set
	case final:
	case r.said() > x.said(), differs && r.Gen == x.Gen && x.State.ended():
		if x.State.ended() && r.Gen == x.Gen && differs && s.API.Known {
			s.API.Broke = Back
		}
		x.State, x.Gen, x.Claim = r.State, r.Gen, r.Claim
		m.hold(s, v)
	}
}

// hold keeps the record of a task that has ended without a message: its newest one was lost, an older one may be left.
func (m *model) hold(s *State, v int) {
	if x := &s.Svc[v].Task; x.State.ended() && x.Message == 0 && s.API.Known && !m.EndHoldsNothing {
		x.Message, x.OnDisk = s.API.Read, s.API.Read
	}
}

// cancels writes what was cancelled into the buckets, by compare-and-set, until it is there.
func (m *model) cancels(s State, do emit) {
	for v := range m.Asked {
		x := &s.Svc[v]
		if !x.Task.CancelDue || !x.Bucket {
			continue
		}
		t := s
		t.Svc[v].Task.CancelDue = false
		if x.Task.State == Cancelled && x.Record.Gen <= x.Task.Gen {
			t.known(v, x.Task)
		}
		do("api writes cancelled into the bucket", v, true, t)
	}
}
