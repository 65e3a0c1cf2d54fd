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
	fault                       string
	rounds, accepted, lost, out int
	windows                     map[string]int // done twice within each
	recovery                    []time.Duration
}

// Table shows, as Markdown, what each fault came to, and how often each window was met. A round with several faults counts in the row
// of each; what was done twice within a window counts in the row of the fault that opened it.
func Table(rounds []Round) string {
	rows := map[string]*row{}
	total := newRow("**all rounds**")
	for _, r := range rounds {
		total.add(r, "")
		for _, fault := range r.Faults {
			if rows[fault] == nil {
				rows[fault] = newRow(fault)
			}
			rows[fault].add(r, fault)
		}
	}
	names := slices.Sorted(maps.Keys(total.windows))
	var b strings.Builder
	b.WriteString("| fault | rounds | jobs accepted | lost | done twice | within a window | time to recover: median, longest |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		b.WriteString(rows[name].line(names))
	}
	b.WriteString(total.line(names))
	b.WriteString("\n| | window | effects done twice |\n| --- | --- | --- |\n")
	for i, name := range names {
		fmt.Fprintf(&b, "| %c | %s | %d |\n", letter(i), name, total.windows[name])
	}
	if len(names) == 0 {
		b.WriteString("| | none was met | 0 |\n")
	}
	return b.String()
}

// letter stands for a window in the rows.
func letter(i int) rune { return rune('a' + i) }

func newRow(fault string) *row { return &row{fault: fault, windows: map[string]int{}} }

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
			w.windows[f.Window]++
		}
	}
}

// line is the row as Markdown, with windows by their place in names.
func (w *row) line(names []string) string {
	recovery := "never"
	if n := len(w.recovery); n > 0 {
		slices.Sort(w.recovery)
		recovery = fmt.Sprintf("%.1f s, %.1f s", w.recovery[n/2].Seconds(), w.recovery[n-1].Seconds())
		if n < w.rounds {
			recovery += fmt.Sprintf("; %d never", w.rounds-n)
		}
	}
	var within []string
	for i, name := range names {
		if n := w.windows[name]; n > 0 {
			within = append(within, fmt.Sprintf("%d %c", n, letter(i)))
		}
	}
	if len(within) == 0 {
		within = []string{"0"}
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %s | %s |\n",
		w.fault, w.rounds, w.accepted, w.lost, w.out, strings.Join(within, ", "), recovery)
}
