package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/e2e/internal/ledger"
)

const window = "a window"

// begin is when every story starts.
func begin() time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) }

func at(seconds float64) time.Time { return begin().Add(time.Duration(seconds * float64(time.Second))) }

func job(id string, services ...string) ledger.Job {
	return ledger.Job{ID: id, Round: 1, Answered: true, Listed: true, State: "succeeded", Services: services}
}

// kill is a fault of round 1 that ends a mailer in the fifth second.
func kill() ledger.Fault {
	return ledger.Fault{Name: "kill-mailer", Round: 1, From: at(5), To: at(5), Window: window, Services: []string{"mailer"}}
}

func mailed(seconds ...float64) []ledger.Effect {
	var all []ledger.Effect
	for _, s := range seconds {
		all = append(all, ledger.Effect{Job: "a", Service: "mailer", At: at(s)})
	}
	return all
}

func TestJudge(t *testing.T) {
	t.Parallel()
	lost, dead, unlisted, later := job("a", "mailer"), job("a", "mailer"), job("a", "mailer"), job("a", "mailer")
	lost.State, dead.State, unlisted.Listed, later.Round = "running", "dead", false, 2
	stranger := job("a", "mailer")
	stranger.Answered = false
	tests := map[string]struct {
		job     ledger.Job
		effects []ledger.Effect
		faults  []ledger.Fault
		want    string // kind, and ! where nothing allows it
	}{
		"all is well":                           {job("a", "mailer"), mailed(1), nil, ""},
		"a job that never ended":                {lost, mailed(1), nil, "never ended!"},
		"a job that is not there":               {unlisted, nil, nil, "never ended!"},
		"forgotten once it was done":            {unlisted, mailed(1), []ledger.Fault{{Name: "delete-db", Round: 1, Forgets: true}}, "forgotten after its end"},
		"forgotten before it was done":          {unlisted, nil, []ledger.Fault{{Name: "delete-db", Round: 1, Forgets: true}}, "never ended!"},
		"a job that died":                       {dead, mailed(1), nil, "ended badly!"},
		"a mail that never came":                {job("a", "mailer"), nil, nil, "effect missing!"},
		"two mails without a fault":             {job("a", "mailer"), mailed(1, 7), nil, "effect done twice!"},
		"two mails around a kill":               {job("a", "mailer"), mailed(4.9, 11), []ledger.Fault{kill()}, "effect done twice"},
		"seen a little late":                    {job("a", "mailer"), mailed(5.1, 11), []ledger.Fault{kill()}, "effect done twice"},
		"both before the kill":                  {job("a", "mailer"), mailed(1, 2), []ledger.Fault{kill()}, "effect done twice!"},
		"both after the kill":                   {job("a", "mailer"), mailed(8, 9), []ledger.Fault{kill()}, "effect done twice!"},
		"three mails, one kill":                 {job("a", "mailer"), mailed(4.9, 11, 13), []ledger.Fault{kill()}, "effect done twice, effect done twice!"},
		"two mails around a later round's kill": {later, mailed(4.9, 11), []ledger.Fault{kill()}, "effect done twice!"},
		"a notice that nobody asked for": {job("a", "mailer"), append(mailed(1), ledger.Effect{Job: "a", Service: "notifier", At: at(1)}),
			nil, "effect unasked for!"},
		"a mail for nobody":        {job("b"), mailed(1), nil, "effect unasked for!"},
		"more jobs than requests":  {stranger, mailed(1), nil, "job unasked for!"},
		"twice by another's fault": {job("a", "notifier"), []ledger.Effect{{Job: "a", Service: "notifier", At: at(4)}, {Job: "a", Service: "notifier", At: at(9)}}, []ledger.Fault{kill()}, "effect done twice!"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range ledger.Judge(ledger.Facts{Jobs: []ledger.Job{tt.job}, Effects: tt.effects, Faults: tt.faults}) {
				mark := "!"
				if f.Allowed() {
					mark = ""
				}
				got = append(got, string(f.Kind)+mark)
			}
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("found %q, want %q", s, tt.want)
			}
		})
	}
}

// Whatever is taken from a run in which all went well, or added to it, is found, and nothing else is.
func TestJudgeFindsWhatIsSpoilt(t *testing.T) {
	t.Parallel()
	services := []string{"mailer", "notifier", "imager", "tasker"}
	rapid.Check(t, func(t *rapid.T) {
		var f ledger.Facts
		n := rapid.IntRange(1, 20).Draw(t, "jobs")
		for i := range n {
			j := job(fmt.Sprint(i), rapid.SliceOfNDistinct(rapid.SampledFrom(services), 1, 3, rapid.ID[string]).Draw(t, "asked")...)
			j.Round = rapid.IntRange(1, 3).Draw(t, "round")
			f.Jobs = append(f.Jobs, j)
			for _, s := range j.Services {
				f.Effects = append(f.Effects, ledger.Effect{Job: j.ID, Service: s, At: at(rapid.Float64Range(0, 60).Draw(t, "at"))})
			}
		}
		if found := ledger.Judge(f); len(found) > 0 {
			t.Fatalf("all went well, and it finds %+v", found)
		}
		lost := rapid.IntRange(0, n-1).Draw(t, "lost")
		f.Jobs[lost].State = "queued"
		twice := rapid.SampledFrom(f.Effects).Draw(t, "twice")
		f.Effects = append(f.Effects, twice)
		missing := rapid.IntRange(0, len(f.Effects)-1).Draw(t, "missing")
		if m := f.Effects[missing]; m.Job == f.Jobs[lost].ID || m == twice {
			missing = -1
		} else {
			f.Effects = slices.Delete(f.Effects, missing, missing+1)
		}
		want := map[ledger.Kind]int{ledger.Lost: 1, ledger.Twice: 1}
		if missing >= 0 {
			want[ledger.Undone] = 1
		}
		got := map[ledger.Kind]int{}
		for _, x := range ledger.Judge(f) {
			if got[x.Kind]++; x.Allowed() {
				t.Errorf("%+v is allowed, and there was no fault", x)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("found %v, want %v", got, want)
		}
	})
}

func TestTableCountsWindowsForTheFaultThatOpenedThem(t *testing.T) {
	t.Parallel()
	twice := ledger.Finding{Kind: ledger.Twice, Fault: "kill-mailer", Window: window}
	got := ledger.Table([]ledger.Round{
		{Faults: []string{"kill-mailer", "kill-api"}, Accepted: 100, Recovery: 6 * time.Second, Settled: true, Findings: []ledger.Finding{twice, twice}},
		{Faults: []string{"kill-mailer"}, Accepted: 50, Findings: []ledger.Finding{{Kind: ledger.Lost}, {Kind: ledger.Twice}}},
	})
	for _, line := range []string{
		"| kill-api | 1 | 100 | 0 | 0 | 0 | 6.0 s, 6.0 s |",
		"| kill-mailer | 2 | 150 | 1 | 1 | 2 a | 6.0 s, 6.0 s; 1 never |",
		"| **all rounds** | 2 | 150 | 1 | 1 | 2 a | 6.0 s, 6.0 s; 1 never |",
		"| a | a window | 2 |",
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("there is no line %s in\n%s", line, got)
		}
	}
}
