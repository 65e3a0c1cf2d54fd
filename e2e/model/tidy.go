package model

import "cmp"

// tidy makes states equal that can't differ in what follows: what no fault ahead can undo is on disk, and the slots of
// a service are in an order.
func (m *model) tidy(s *State) {
	if !m.ahead(s, PowerLoss) && s.Stream.Hidden > 0 {
		s.Stream.dropHidden()
	}
	if !m.ahead(s, APICrash) {
		m.store(s)
	}
	if s.API.RelayedDisk {
		s.Stream.Ids &^= 1
	}
	for v := range m.Asked {
		x := &s.Svc[v]
		if x.Task.Entry == NoEntry || x.Task.Entry == Stored {
			s.Stream.Ids &^= 2 << v
		}
		if m.NoSweep {
			x.Delivered = max(x.Delivered, x.Workers[0].Seq, x.Workers[1].Seq)
		}
		closeWindow(x)
		sortWorkers(x)
	}
}

// closeWindow ends a window once the end is recorded again and nobody is at work.
func closeWindow(x *Service) {
	r := x.Record
	if x.Truth.Window && r.State.ended() && r.Gen+1 >= max(x.Truth.Effect, x.Truth.Ended) && !x.Workers[0].holds() && !x.Workers[1].holds() {
		x.Truth.Window = false
	}
}

func sortWorkers(x *Service) {
	a, b := &x.Workers[0], &x.Workers[1]
	if cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Gen, b.Gen), cmp.Compare(a.Claim, b.Claim),
		cmp.Compare(a.Open, b.Open)) >= 0 {
		return
	}
	*a, *b = *b, *a
	if h := &x.Record.Holder; *h == 1 || *h == 2 {
		*h = 3 - *h
	}
}

// mirror swaps the services. When both are asked and neither differs, a state and its mirror are one.
func (s State) mirror() State {
	s.Svc[0], s.Svc[1] = s.Svc[1], s.Svc[0]
	for k := range s.Stream.Msgs {
		msg := &s.Stream.Msgs[k]
		msg.At[0], msg.At[1] = msg.At[1], msg.At[0]
		if msg.For != 0 {
			msg.For = 3 - msg.For
		}
	}
	ids := s.Stream.Ids
	s.Stream.Ids = ids&1 | ids&2<<1 | ids&4>>1
	return s
}
