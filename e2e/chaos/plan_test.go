//go:build unix

package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A planned fault has its moment.
type planned struct {
	fault
	at    time.Duration // after the round's begin
	lasts time.Duration
}

func (p planned) String() string {
	return fmt.Sprintf("%s at %s for %s", p.name, p.at.Round(time.Millisecond), p.lasts.Round(time.Millisecond))
}

// A round is what a seed has in store for one.
type round struct {
	number int
	faults []planned
	second bool   // there are two mailers
	seed   uint64 // of what else is drawn in it
}

// A deck deals faults: each once before any comes again.
type deck struct {
	random *rand.Rand
	all    []fault
	left   []fault
	number int
}

func newDeck(seed uint64, all []fault) *deck {
	return &deck{random: rand.New(rand.NewPCG(seed, 0)), all: all} //nolint:gosec // it need not be secret
}

const (
	most     = 3 // faults in a round
	earliest = 300 * time.Millisecond
	latest   = 2 * time.Second
)

// next deals a round: up to three faults that don't get into each other's way.
func (d *deck) next() round {
	d.number++
	r := round{number: d.number, second: d.random.IntN(2) == 0, seed: d.random.Uint64()}
	want := 2 + d.random.IntN(most-1)
	if len(d.left) == 0 {
		d.left = slices.Clone(d.all)
		d.random.Shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
	}
	var rest []fault
	for _, f := range d.left {
		if len(r.faults) == want || !r.takes(f) {
			rest = append(rest, f)
			continue
		}
		r.faults = append(r.faults, planned{
			fault: f, at: d.between(earliest, latest), lasts: d.between(f.least, f.most),
		})
	}
	d.left = rest
	return r
}

// takes reports whether a fault touches nothing that another of the round touches.
func (r *round) takes(f fault) bool {
	for _, other := range r.faults {
		if len(f.touches) == 0 || len(other.touches) == 0 {
			return false
		}
		for _, program := range f.touches {
			if slices.Contains(other.touches, program) {
				return false
			}
		}
	}
	return true
}

func (d *deck) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.random.Int64N(int64(most-least)+1))
}

// choose finds the faults of a list of names. One with a minus before it takes away.
func choose(names string) ([]fault, error) {
	var chosen []fault
	for name := range strings.SplitSeq(names, ",") {
		n := len(chosen)
		if without, minus := strings.CutPrefix(name, "-"); minus {
			chosen = slices.DeleteFunc(chosen, func(f fault) bool { return f.name == without })
		}
		for _, f := range slices.Concat(processFaults(), storeFaults(), laterFaults(), diskFaults()) {
			if f.name == name || name == "all" || name == "usual" && f.usual {
				chosen = append(chosen, f)
			}
		}
		if len(chosen) == n {
			return nil, fmt.Errorf("there is no fault %q", name)
		}
	}
	return chosen, nil
}

// A seed gives the same rounds each time, every fault comes before any comes again, and those of a round leave each other alone.
func TestPlanIsDrawnFromItsSeed(t *testing.T) {
	t.Parallel()
	all, err := choose("all")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		a, b := newDeck(seed, all), newDeck(seed, all)
		seen := map[string]int{}
		for range 60 {
			r := a.next()
			if again := b.next(); fmt.Sprint(r.faults, r.second, r.seed) != fmt.Sprint(again.faults, again.second, again.seed) {
				t.Fatalf("round %d is %v, then %v", r.number, r.faults, again.faults)
			}
			if len(r.faults) == 0 {
				t.Fatal("nothing goes wrong")
			}
			touched := map[string]bool{}
			for _, f := range r.faults {
				if seen[f.name]++; f.at < earliest || f.at > latest || f.lasts < f.least || f.lasts > f.most {
					t.Fatalf("%v is out of its bounds", f)
				}
				if len(f.touches) == 0 && len(r.faults) > 1 {
					t.Fatalf("%s is not alone: %v", f.name, r.faults)
				}
				for _, program := range f.touches {
					if touched[program] {
						t.Fatalf("%s is touched twice: %v", program, r.faults)
					}
					touched[program] = true
				}
			}
			low, high := len(all), 0
			for _, f := range all {
				low, high = min(low, seen[f.name]), max(high, seen[f.name])
			}
			if high-low > 1 {
				t.Fatalf("after round %d they have come %v times", r.number, seen)
			}
		}
	})
}
