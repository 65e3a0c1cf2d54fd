package lease_test

import (
	"testing"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/lease"
)

func me(store string, start uint64) commit.Identity {
	return commit.Identity{Store: store, File: "f", Start: start}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	rec := func(store, file string, start uint64, token string) *lease.Record {
		return &lease.Record{Store: store, File: file, Start: start, Token: token}
	}
	const still, moves = 15 * time.Second, 14 * time.Second
	for _, c := range []struct {
		name string
		in   lease.Input
		want lease.Decision
	}{
		{"a new file on a new NATS", lease.Input{Me: me("", 1)}, lease.Decision{Action: lease.Found}},
		{"a new file where there is a store", lease.Input{Me: me("", 1), Owner: "s", Found: rec("s", "g", 1, "x")}, lease.Decision{Action: lease.Adopt, Store: "s"}},
		{"a new file where another founds a store", lease.Input{Me: me("", 1), Found: rec("s", "g", 1, "x")}, lease.Decision{Action: lease.Adopt, Store: "s"}},
		{"a new file where nobody can read the lease", lease.Input{Me: me("", 1), Found: rec("", "", 0, "x")}, lease.Decision{Action: lease.Found}},
		{"our file on a new NATS", lease.Input{Me: me("s", 3)}, lease.Decision{Action: lease.Claim}},
		{"a stranger's streams", lease.Input{Me: me("s", 3), Owner: "t", Found: rec("t", "g", 1, "")}, lease.Decision{Action: lease.Refuse, Store: "t"}},
		{"a stranger's lease", lease.Input{Me: me("s", 3), Found: rec("t", "g", 1, ""), Still: still}, lease.Decision{Action: lease.Refuse, Store: "t"}},
		{"another store's lease beside our streams", lease.Input{Me: me("s", 3), Owner: "s", Found: rec("t", "g", 1, "x"), Still: moves}, lease.Decision{}},
		{"mine", lease.Input{Me: me("s", 3), Owner: "s", Found: rec("s", "f", 3, "mine"), Held: true}, lease.Decision{Action: lease.Keep}},
		{"a restart", lease.Input{Me: me("s", 3), Owner: "s", Found: rec("s", "f", 2, "x")}, lease.Decision{Action: lease.Claim}},
		{"a restart from one copy", lease.Input{Me: me("s", 3), Owner: "s", Found: rec("s", "f", 3, "x")}, lease.Decision{Action: lease.Claim}},
		{"replaced by a copy", lease.Input{Me: me("s", 3), Owner: "s", Found: rec("s", "f", 3, "x"), Held: true, Seen: true}, lease.Decision{}},
		{"replaced by a copy that has gone", lease.Input{Me: me("s", 3), Owner: "s", Found: rec("s", "f", 4, "x"), Held: true, Still: still}, lease.Decision{Action: lease.Claim, Behind: true}},
		{"an old copy", lease.Input{Me: me("s", 3), Owner: "s", Found: rec("s", "f", 4, "x")}, lease.Decision{Old: true}},
		{"an old copy, and the other gone", lease.Input{Me: me("s", 3), Owner: "s", Found: rec("s", "f", 4, "x"), Still: still}, lease.Decision{Action: lease.Claim, Old: true}},
		{"an old copy, and the other stopped", lease.Input{Me: me("s", 3), Owner: "s", Found: rec("s", "f", 4, "")}, lease.Decision{Action: lease.Claim, Old: true}},
		{"an old copy that holds it", lease.Input{Me: me("s", 3), Owner: "s", Found: rec("s", "f", 4, "mine")}, lease.Decision{Action: lease.Keep, Old: true}},
		{"another file", lease.Input{Me: me("s", 9), Owner: "s", Found: rec("s", "g", 1, "x"), Still: moves}, lease.Decision{}},
		{"another file, gone", lease.Input{Me: me("s", 1), Owner: "s", Found: rec("s", "g", 9, "x"), Still: still}, lease.Decision{Action: lease.Claim, Behind: true}},
		{"another file, stopped", lease.Input{Me: me("s", 1), Owner: "s", Found: rec("s", "g", 9, "")}, lease.Decision{Action: lease.Claim, Behind: true}},
		{"a restart of who was still behind", lease.Input{Me: me("s", 3), Owner: "s", Found: &lease.Record{Store: "s", File: "f", Start: 2, Token: "x", Behind: true}}, lease.Decision{Action: lease.Claim, Behind: true}},
		{"lost while we held it", lease.Input{Me: me("s", 1), Owner: "s", Held: true, Valid: true}, lease.Decision{Action: lease.Claim}},
		{"lost while we were away", lease.Input{Me: me("s", 1), Owner: "s", Held: true, Still: moves}, lease.Decision{}},
		{"lost while another held it", lease.Input{Me: me("s", 1), Owner: "s", Seen: true, Still: moves}, lease.Decision{}},
		{"lost, with all of NATS, while another held it", lease.Input{Me: me("s", 1), Seen: true, Still: moves}, lease.Decision{}},
		{"lost for good", lease.Input{Me: me("s", 1), Owner: "s", Still: still}, lease.Decision{Action: lease.Claim, Behind: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.in.Token, c.in.TakeOver = "mine", still
			if got := lease.Decide(c.in); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
