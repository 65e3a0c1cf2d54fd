//go:build unix

package chaos_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"handoff/e2e/internal/house"
	"handoff/e2e/internal/ledger"
)

var (
	seed   = flag.Uint64("seed", 1, "what faults, moments and requests are drawn from")
	rounds = flag.Int("rounds", 0, "how many rounds; 0: until each fault has come once")
	first  = flag.Int("first", 1, "the round to begin with")
	faults = flag.String("faults", "usual", "names of faults, joined by commas; usual, or all")
	limit  = flag.Duration("settle", sweeps, "how long a round may go on settling without a job that ends; five times as long in all")
	extra  = flag.String("env", "", "more variables for the services, joined by commas")
	report = flag.String("report", "", "a file for the table")
)

// sweeps is longer than it takes until the api looks at a task that has rested, and has it done: a record that was lost after its message
// was acknowledged is missed by nobody before. Nothing is lost until then.
const sweeps = 5 * time.Minute

// life is how many rounds a site goes through before a new one takes its place.
const life = 20

// Whatever goes wrong, what was accepted is done, and done once but for the windows of docs/delivery.md.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long; run without -short")
	}
	chosen, err := choose(*faults)
	if err != nil {
		t.Fatal(err)
	}
	h := home(t)
	var env []string
	if *extra != "" {
		env = strings.Split(*extra, ",")
	}
	chosen, rooms := possible(t, chosen)
	var all []ledger.Round
	var s *scene
	cards := newDeck(*seed, chosen)
	for age := 0; more(cards); {
		r := cards.next()
		if r.number < *first {
			continue
		}
		if s == nil {
			s, age = newScene(t, h, rooms, env), 0
		}
		result, clean := look(t, s, r)
		all = append(all, result)
		keep(t, all)
		// A site with something wrong would show it again in every round that follows.
		if age++; !clean {
			s.autopsy()
		}
		if !clean || age == life {
			s.end()
			s = nil
		}
	}
	t.Logf("seed %d:\n%s", *seed, ledger.Table(all))
}

// keep writes the table of what has been so far, so that a run that is cut short has one.
func keep(t *testing.T, all []ledger.Round) {
	t.Helper()
	if *report == "" {
		return
	}
	if err := os.WriteFile(*report, []byte(ledger.Table(all)), 0o600); err != nil {
		t.Error(err)
	}
}

// possible leaves out the faults for which this machine has no means, and tells whether each store needs a disk of its own.
func possible(t *testing.T, chosen []fault) (_ []fault, rooms bool) {
	t.Helper()
	needs := func(f fault) bool { return f.room }
	if !slices.ContainsFunc(chosen, needs) {
		return chosen, false
	}
	if err := house.GiveRoom(t, filepath.Join(t.TempDir(), "room"), roomBytes); err != nil {
		t.Logf("NOT TESTED: full disks: %v", err)
		return slices.DeleteFunc(chosen, needs), false
	}
	return chosen, true
}

// more reports whether there are rounds left.
func more(d *deck) bool {
	if *rounds > 0 {
		return d.number < *first-1+*rounds
	}
	return d.number < *first || len(d.left) > 0
}

// look plays a round and fails the test for what nothing allows.
func look(t *testing.T, s *scene, r round) (result ledger.Round, clean bool) {
	t.Helper()
	result = s.play(r, *limit)
	result.Findings = s.judge()
	wrong := s.wrong()
	counts, allowed := map[ledger.Kind]int{}, map[string]int{}
	for _, f := range result.Findings {
		if f.Allowed() {
			why := fmt.Sprintf("%s, as allowed by %s: %s", f.Kind, f.Fault, f.Window)
			if allowed[why]++; f.Kind == ledger.Twice && allowed[why] <= examples {
				s.say("%s: %s of job %s (%s)", f.Kind, f.Service, f.Job, f.Detail)
			}
			continue
		}
		if counts[f.Kind]++; counts[f.Kind] <= examples {
			wrong = append(wrong, fmt.Sprintf("%s: %s of job %s (%s)", f.Kind, f.Service, f.Job, f.Detail))
		}
	}
	for kind, n := range counts {
		wrong = append(wrong, fmt.Sprintf("%s: %d in all", kind, n))
	}
	for _, why := range slices.Sorted(maps.Keys(allowed)) {
		s.say("%s: %d in all", why, allowed[why])
	}
	if result.Accepted == 0 {
		wrong = append(wrong, "nothing was accepted, so that it shows nothing")
	}
	if len(wrong) > 0 {
		t.Errorf("round %d:\n%s\n%s", r.number, strings.Join(wrong, "\n"), rerun(r))
	}
	return result, len(wrong) == 0
}

// examples is how many findings of a kind are shown.
const examples = 5

// rerun says how to have a round again.
func rerun(r round) string {
	return fmt.Sprintf("again: go test ./e2e/chaos -count=1 -v -seed %d -faults %s -first %d -rounds 1", *seed, *faults, r.number)
}
