package model

import (
	"fmt"
	"hash/maphash"
	"strings"
)

// Limit is how many states a run may have. With their steps they take about 100 bytes each.
const Limit = 6_000_000

// Result is what a run has found.
type Result struct {
	Broke    Property
	Faults   [2]Fault
	Trace    []string // shortest, to where Broke shows
	States   int
	Complete bool // every state was seen
}

type fingerprint [2]uint64

type search struct {
	m      *model
	seeds  [2]maphash.Seed
	ids    map[fingerprint]uint32
	parent []uint32
	fair   [][2]uint32 // fair steps, from and to
	ended  []bool
}

// Run looks at every state within the bounds, breadth first, until one breaks a property.
func Run(b Bounds, broken Broken) Result {
	x := &search{m: &model{b, broken}, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, ids: map[fingerprint]uint32{}}
	start := x.m.start()
	level := []State{start}
	x.ids[x.print(start)] = 0
	x.parent, x.ended = []uint32{0}, []bool{false}
	for first := uint32(0); len(level) > 0; {
		var below []State
		for i, s := range level {
			if t, id := x.expand(s, first+uint32(i), &below); t.API.Broke != Holds {
				return x.broke(t.API.Broke, id, false)
			}
		}
		if len(x.parent) > Limit {
			return Result{States: len(x.parent)}
		}
		first += uint32(len(level))
		level = below
	}
	if id, stuck := x.stuck(); stuck {
		return x.broke(NotEnded, id, true)
	}
	return Result{States: len(x.parent), Complete: true}
}

func (x *search) broke(p Property, id uint32, complete bool) Result {
	trace, last := x.trace(id)
	return Result{p, last.API.Faults, trace, len(x.parent), complete}
}

// expand adds what follows s. It returns the first state that breaks a property.
func (x *search) expand(s State, from uint32, below *[]State) (bad State, badID uint32) {
	x.ended[from] = x.m.done(&s)
	x.m.next(s, func(_ string, _ int, fair bool, t State) {
		p := x.print(t)
		id, seen := x.ids[p]
		if !seen {
			id = uint32(len(x.parent))
			x.ids[p] = id
			x.parent = append(x.parent, from)
			x.ended = append(x.ended, false)
			*below = append(*below, t)
		}
		if fair && id != from {
			x.fair = append(x.fair, [2]uint32{from, id})
		}
		if t.API.Broke != Holds && bad.API.Broke == Holds {
			bad, badID = t, id
		}
	})
	return bad, badID
}

// print is what a state is known by: 128 bits of it, or of its mirror.
func (x *search) print(s State) fingerprint {
	p := x.hash(s)
	if x.m.Asked == services {
		if q := x.hash(s.mirror()); q[0] < p[0] || q[0] == p[0] && q[1] < p[1] {
			return q
		}
	}
	return p
}

func (x *search) hash(s State) fingerprint {
	return fingerprint{maphash.Comparable(x.seeds[0], s), maphash.Comparable(x.seeds[1], s)}
}

// stuck finds the first state from which fair steps do not lead to the job's end: from every other they can, and on a
// finite graph what can always happen does.
func (x *search) stuck() (uint32, bool) {
	n := len(x.parent)
	begin := make([]uint32, n+2)
	for _, e := range x.fair {
		begin[e[1]+2]++
	}
	for i := 2; i < n+2; i++ {
		begin[i] += begin[i-1]
	}
	into := make([]uint32, len(x.fair))
	for _, e := range x.fair {
		into[begin[e[1]+1]] = e[0]
		begin[e[1]+1]++
	}
	var queue []uint32
	for i, end := range x.ended {
		if end {
			queue = append(queue, uint32(i))
		}
	}
	for len(queue) > 0 {
		i := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, from := range into[begin[i]:begin[i+1]] {
			if !x.ended[from] {
				x.ended[from] = true
				queue = append(queue, from)
			}
		}
	}
	for i, end := range x.ended {
		if !end {
			return uint32(i), true
		}
	}
	return 0, false
}

// trace takes the steps to a state again, from the start, and says what each does.
func (x *search) trace(id uint32) ([]string, State) {
	way := map[uint32]int{}
	var ids []uint32
	for ; id != 0; id = x.parent[id] {
		ids = append(ids, id)
		way[id] = len(ids) - 1
	}
	prints := make([]fingerprint, len(ids))
	for p, id := range x.ids {
		if i, ok := way[id]; ok {
			prints[i] = p
		}
	}
	s := x.m.start()
	var lines []string
	for i := len(prints) - 1; i >= 0; i-- {
		var to State
		line := ""
		x.m.next(s, func(what string, who int, _ bool, t State) {
			if line == "" && x.print(t) == prints[i] {
				to, line = t, fmt.Sprintf("%-52s %s", what+name(who), x.m.show(&t))
			}
		})
		s, lines = to, append(lines, line)
	}
	return lines, s
}

func name(who int) string {
	return [...]string{"", " (mailer)", " (notifier)"}[who+1]
}

// show is a state in one line: messages, records, what the api knows.
func (m *model) show(s *State) string {
	var b strings.Builder
	for k := s.Stream.Hidden; k < s.Stream.Count; k++ {
		msg := s.Stream.Msgs[k]
		fmt.Fprintf(&b, "%d:%s", s.Stream.First+k, [...]string{"event", "mailer", "notifier"}[msg.For])
		if msg.Gen > 0 {
			fmt.Fprintf(&b, ".%d", msg.Gen)
		}
		b.WriteByte(' ')
	}
	for v := range m.Asked {
		x := &s.Svc[v]
		r := x.Record.State.String()
		switch {
		case !x.Bucket:
			r = "no bucket"
		case x.Record == Record{}:
			r = "no record"
		}
		if x.Bucket && !x.Open {
			r += ", no _open"
		}
		fmt.Fprintf(&b, "| %s; api: %s.%d message %d", r, x.Task.State, x.Task.Gen, x.Task.Message)
		if x.Task.Entry == Pending {
			b.WriteString(", entry")
		}
		b.WriteByte(' ')
	}
	fmt.Fprintf(&b, "| mark %d read %d %s", s.API.Mark.Seq, s.API.Read, [...]string{"", "look", "create", "overwrite", "open", "catch up", "reissue"}[s.API.Phase])
	return b.String()
}

func (t TaskState) String() string {
	return [...]string{"queued", "running", "retrying", "succeeded", "dead", "cancelled"}[t]
}
