package model

// reconcile puts back what a store has lost, one step at a time.
func (m *model) reconcile(s State, do emit) {
	a := &s.API
	missing := s.missing(m.Asked)
	t := s
	switch a.Phase {
	case Ready:
		if missing || !s.open(m.Asked) {
			t.API.Phase = Look
			do("reconcile finds that something is missing", -1, true, t)
		}
	case Look:
		m.look(&t)
		do("reconcile looks at infos and marks", -1, true, t)
	case Create:
		if m.holdersAreBack(&s) && (a.Read == s.Stream.last() || missing || m.WriteBackUnread) {
			m.writeBack(&t, m.mustHaveRecord)
			t.API.Phase = Overwrite
			do("reconcile writes records where missing", -1, true, t)
		}
	case Overwrite:
		if m.bucketsRead(&s) {
			m.writeBack(&t, func(s *State, v int) bool { return s.Svc[v].Record != (Record{}) })
			t.API.Phase = WriteOpen
			do("reconcile overwrites records that say less", -1, true, t)
		}
	case WriteOpen:
		for v := range m.Asked {
			t.Svc[v].Open = t.Svc[v].Open || t.Svc[v].Lost && t.Svc[v].Bucket
		}
		t.API.Phase = CatchUp
		do("reconcile writes _open", -1, true, t)
	case CatchUp:
		if m.caughtUp(&s) || missing {
			t.API.Judge = a.Known && (a.Judge || a.Fresh)
			m.judge(&t)
			t.API.Phase = Reissue
			do("reconcile: the projection has caught up", -1, true, t)
		}
	case Reissue:
		if a.Again || missing || !s.open(m.Asked) {
			t.API.Phase = Look
			do("reconcile runs again", -1, true, t)
			return
		}
		m.reissueLost(&t)
		do("reconcile reissues what has no message", -1, true, t)
	}
}

// look makes what is missing, and compares with the marks.
func (m *model) look(s *State) {
	a, st := &s.API, &s.Stream
	lost := false
	for v := range m.Asked {
		x := &s.Svc[v]
		x.Lost = x.Lost || !x.Bucket || !x.Open || x.Short
		if !x.Bucket {
			x.Bucket, x.Open = true, m.OpenBeforeRecords
			for i := range x.Workers {
				if x.Workers[i].Open == Looked {
					x.Workers[i].Open = MadeAnew
				}
			}
		}
		x.Short = false
		lost = lost || x.Lost
	}
	if !st.Exists {
		*st = Stream{Exists: true, Epoch: st.Epoch + 1, First: 1}
		a.Read = 0
	}
	a.Again = false
	if !a.Fresh {
		a.Lost = a.Lost || a.Mark.Epoch != st.Epoch || st.last() < a.Mark.Seq
	}
	if m.ForgetFirst {
		m.forgetLost(s)
	}
	a.Read = min(a.Read, st.last())
	switch {
	case a.Fresh:
		a.Phase = CatchUp
	case a.Lost || lost:
		a.Phase = Create
	default:
		a.Phase = Ready
	}
}

// forgetLost takes lost messages from their tasks. It waits for the reissue: an older message that is read meanwhile must not
// hide that the newest is lost.
func (m *model) forgetLost(s *State) {
	a, st := &s.API, &s.Stream
	if !a.Lost || m.LostMessagesKept {
		return
	}
	for v := range m.Asked {
		x := &s.Svc[v].Task
		if anew := a.Mark.Epoch != st.Epoch; anew || x.Message > st.last() {
			x.Message = 0
			if x.State.ended() && !anew {
				x.Message = st.last()
			}
			x.OnDisk = x.Message
		}
	}
}

// holdersAreBack says whether an AckWait has done what it is for: living holders have put their records back.
func (m *model) holdersAreBack(s *State) bool {
	for v := range m.Asked {
		x := &s.Svc[v]
		if !x.Lost || x.Down {
			continue
		}
		if !x.Bucket {
			return true // Again is set: nothing to wait for
		}
		for i, w := range x.Workers[:m.Workers] {
			if w.begun() && (x.Record == Record{} && !m.NoPutBack || m.takesBack(s, v, i)) {
				return false
			}
		}
	}
	return true
}

func (m *model) bucketsRead(s *State) bool {
	for v := range m.Asked {
		if x := &s.Svc[v]; x.Lost && x.Bucket && x.Task.Unread {
			return false
		}
	}
	return true
}

// mustHaveRecord says whether the task can be delivered again, or has begun.
func (m *model) mustHaveRecord(s *State, v int) bool {
	x := s.Svc[v].Task
	if x.State.ended() {
		return s.inStream(v) || s.hidden(v) && !m.WriteBackNoPurged
	}
	return x.State != Queued || x.Gen > 0
}

// writeBack writes a record where it says less than api.db.
func (m *model) writeBack(s *State, where func(*State, int) bool) {
	for v := range m.Asked {
		x := &s.Svc[v]
		r, t := x.Record, x.Task
		less := r.said() < t.said() && !m.CreateOnly
		if r.State == Running && r.Gen == t.Gen && !t.State.ended() && !m.OverwriteRunning {
			less = false // its holder may live; if not, it is taken over
		}
		if s.API.Known && x.Lost && x.Bucket && where(s, v) && (r == Record{} || less) {
			s.known(v, t)
		}
	}
}

func (m *model) caughtUp(s *State) bool {
	for v := range m.Asked {
		if s.Svc[v].Task.Unread {
			return false
		}
	}
	return s.API.Read == s.Stream.last()
}

// reissueLost asks again for what has no message left, and ends the pass.
func (m *model) reissueLost(s *State) {
	a := &s.API
	m.forgetLost(s)
	for v := range m.Asked {
		x := &s.Svc[v]
		if a.Known && !x.Task.State.ended() && x.Task.Message == 0 && (a.Relayed || x.Task.Entry != NoEntry) {
			m.reissue(s, v)
		}
		x.Lost = false
	}
	a.Phase, a.Fresh, a.Lost = Ready, false, false
	a.Mark = Mark{s.Stream.Epoch, s.Stream.last()}
	m.store(s)
}
