package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Round is what one was about.
type Round struct {
	Faults   []string      // their names
	Accepted int           // answers of 2xx
	Recovery time.Duration // from the end of its last fault to the end of its last job
	Settled  bool          // whether it came to that
	Findings []Finding
}

type row struct {
	fault                               string
	rounds, accepted, lost, window, out int
	recovery                            []time.Duration
}

// Table shows, as Markdown, what each fault came to, and how often each window was met. A round with several faults counts in the row
// of each; what was done twice within a window counts in the row of the fault that opened it.
func Table(rounds []Round) string {
	rows := map[string]*row{}
	total := &row{fault: "**all rounds**"}
	windows := map[string]int{}
	for _, r := range rounds {
		total.add(r, "")
		for _, fault := range r.Faults {
			if rows[fault] == nil {
				rows[fault] = &row{fault: fault}
			}
			rows[fault].add(r, fault)
		}
		for _, f := range r.Findings {
			if f.Kind == Twice && f.Allowed() {
				windows[f.Window]++
			}
		}
	}
	var b strings.Builder
	b.WriteString("| fault | rounds | jobs accepted | lost | done twice, within a window | done twice, outside | time to recover: median, longest |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		b.WriteString(rows[name].String())
	}
	b.WriteString(total.String())
	b.WriteString("\n| window | effects done twice |\n| --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(windows)) {
		fmt.Fprintf(&b, "| %s | %d |\n", name, windows[name])
	}
	if len(windows) == 0 {
		b.WriteString("| none was met | 0 |\n")
	}
	return b.String()
}

// add counts a round; fault is whose windows count, empty for everybody's.
func (w *row) add(r Round, fault string) {
	w.rounds++
	w.accepted += r.Accepted
	if r.Settled {
		w.recovery = append(w.recovery, r.Recovery)
	}
	for _, f := range r.Findings {
		switch {
		case f.Kind == Lost, f.Kind == Dead, f.Kind == Undone:
			w.lost++
		case f.Kind == Twice && !f.Allowed():
			w.out++
		case f.Kind == Twice && (fault == "" || f.Fault == fault):
			w.window++
		}
	}
}

func (w *row) String() string {
	recovery := "never"
	if n := len(w.recovery); n > 0 {
		slices.Sort(w.recovery)
		recovery = fmt.Sprintf("%.1f s, %.1f s", w.recovery[n/2].Seconds(), w.recovery[n-1].Seconds())
		if n < w.rounds {
			recovery += fmt.Sprintf("; %d never", w.rounds-n)
		}
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %d | %s |\n", w.fault, w.rounds, w.accepted, w.lost, w.window, w.out, recovery)
}
