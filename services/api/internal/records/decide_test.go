package records

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	at := func(sequence, key, replaces uint64) *header { return &header{sequence, key, replaces} }
	for name, tt := range map[string]struct {
		found found
		want  verdict
	}{
		"empty":                             {found{}, anew},
		"purged by somebody":                {found{first: 8, last: 7}, anew},
		"newest is none of ours":            {found{messages: 3, first: 1, last: 3}, anew},
		"says it replaces itself":           {found{messages: 3, first: 1, last: 3, newest: at(3, 5, 3)}, anew},
		"first copy":                        {found{messages: 3, first: 1, last: 3, newest: at(3, 5, 0)}, goOn},
		"one of another subject behind":     {found{messages: 4, first: 1, last: 4, newest: at(3, 5, 0)}, goOn},
		"the first message is missing":      {found{messages: 2, first: 2, last: 3, newest: at(3, 5, 0)}, anew},
		"one in the middle is missing":      {found{messages: 2, first: 1, last: 3, gaps: true, newest: at(3, 5, 0)}, anew},
		"second copy behind the first":      {found{messages: 5, first: 1, last: 5, newest: at(5, 2, 3)}, goOn},
		"second copy, half of the first":    {found{messages: 4, first: 2, last: 5, newest: at(5, 2, 3)}, goOn},
		"second copy alone":                 {found{messages: 2, first: 4, last: 5, newest: at(5, 2, 3)}, goOn},
		"second copy without its beginning": {found{messages: 1, first: 5, last: 5, newest: at(5, 2, 3)}, anew},
		"gaps in the first of two copies":   {found{messages: 4, first: 1, last: 5, gaps: true, newest: at(5, 2, 3)}, goOn},
		"later than the store":              {found{messages: 3, first: 1, last: 3, newest: at(3, 11, 0)}, behind},
	} {
		if got := judge(tt.found, 10); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// Whatever judge lets go on holds every user up to its key: a model of a stream in which each message holds one user, and of what
// may happen to it.
func TestWhatGoesOnHoldsEveryUser(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type message struct{ sequence, key, replaces uint64 }
		var messages, kept []message
		var keptLast, last, users, key, replaces uint64
		see := func() found {
			f := found{messages: uint64(len(messages)), first: last + 1, last: last}
			if n := len(messages); n > 0 {
				m := messages[n-1]
				f.first, f.newest = messages[0].sequence, &header{m.sequence, m.key, m.replaces}
				f.gaps = last-f.first+1 != uint64(n)
			}
			return f
		}
		t.Repeat(map[string]func(*rapid.T){
			"register": func(*rapid.T) { users++ },
			"write": func(t *rapid.T) { // a restarted writer, every time
				switch judge(see(), users) {
				case goOn:
					n := messages[len(messages)-1]
					key, replaces = n.key, n.replaces
				case anew:
					key, replaces = 0, last
				case behind:
					t.Fatal("the stream knows more than the store")
				}
				for range rapid.IntRange(0, 5).Draw(t, "messages") {
					if key < users {
						last, key = last+1, key+1
						messages = append(messages, message{last, key, replaces})
					}
				}
			},
			"rewrite": func(*rapid.T) {
				if users > 0 {
					last++
					messages = append(messages, message{last, 1, last - 1})
				}
			},
			"purge": func(*rapid.T) { // of what a whole copy has replaced
				if n := len(messages); n > 0 && judge(see(), users) == goOn && messages[n-1].key == users {
					for len(messages) > 0 && messages[0].sequence <= messages[n-1].replaces {
						messages = messages[1:]
						n--
					}
				}
			},
			"lose the tail": func(t *rapid.T) {
				if n := len(messages); n > 0 {
					messages = messages[:rapid.IntRange(0, n-1).Draw(t, "left")]
					last = 0
					if n := len(messages); n > 0 {
						last = messages[n-1].sequence
					}
				}
			},
			"keep a snapshot": func(*rapid.T) {
				kept, keptLast = slices.Clone(messages), last
			},
			"put a snapshot back": func(*rapid.T) {
				messages, last = slices.Clone(kept), keptLast
			},
			"delete the stream": func(*rapid.T) { messages, last = nil, 0 },
			"purge by hand":     func(*rapid.T) { messages = nil },
			"": func(t *rapid.T) {
				f := see()
				if judge(f, users) != goOn {
					return
				}
				known := map[uint64]bool{}
				for _, m := range messages {
					known[m.key] = true
				}
				for k := uint64(1); k <= f.newest.key; k++ {
					if !known[k] {
						t.Fatalf("user %d of %d is not in %+v", k, f.newest.key, messages)
					}
				}
			},
		})
	})
}

func TestRoom(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		room room
		want bool
	}{
		"under half":                     {room{bytes: 50, limit: 100, living: 1}, false},
		"much of it old":                 {room{bytes: 51, limit: 100, living: 30}, true},
		"little of it old":               {room{bytes: 51, limit: 100, living: 45}, false},
		"no room for both":               {room{bytes: 70, limit: 100, living: 40}, false},
		"nearly full, no room for both":  {room{bytes: 96, limit: 100, living: 80}, true},
		"full of the living":             {room{bytes: 96, limit: 100, living: 90}, false},
		"being rewritten":                {room{bytes: 96, limit: 100, living: 10, rewriting: true}, false},
		"no limit":                       {room{bytes: 96, living: 10}, false},
		"an estimate above what is used": {room{bytes: 96, limit: 100, living: 200}, false},
	} {
		tt.room.bytes, tt.room.limit, tt.room.living = tt.room.bytes<<20, tt.room.limit<<20, tt.room.living<<20
		if got := tt.room.worth(); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// An id by the first key alone would have a larger batch taken for a smaller one that was stored before.
func TestNoIDIsOfTwoMessages(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) [3]uint64 {
			return [3]uint64(rapid.SliceOfN(rapid.Uint64Range(0, 30), 3, 3).Draw(t, name))
		}
		a, b := draw("a"), draw("b")
		if same := messageID(a[0], a[1], a[2]) == messageID(b[0], b[1], b[2]); same != (a == b) {
			t.Fatalf("%v and %v have the same id: %t", a, b, same)
		}
	})
}

// The trail never says more than what the position was, for all of the time that it is asked about.
func TestTrailSaysNoMoreThanWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tr := trail{keep: time.Duration(rapid.IntRange(0, 100).Draw(t, "keep"))}
		now := time.Unix(0, 0)
		var all []step
		for i := range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "pause")))
			all = append(all, step{now, uint64(i + 1)})
			tr.add(now, uint64(i+1))
			got, was := tr.ago(now), uint64(0)
			for _, s := range all {
				if now.Sub(s.at) >= tr.keep {
					was = s.key
				}
			}
			if got > was {
				t.Fatalf("says %d, was %d", got, was)
			}
			if len(tr.steps) > 40 {
				t.Fatalf("%d steps are kept", len(tr.steps))
			}
		}
		if got := tr.ago(now.Add(tr.keep)); got != uint64(len(all)) {
			t.Fatalf("says %d after a rest, want %d", got, len(all))
		}
	})
}
