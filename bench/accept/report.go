package main

import (
	"fmt"
	"io"
	"time"

	"handoff/bench/internal/groupcommit"
)

// shownCauses is how many kinds of refusals are printed.
const shownCauses = 5

func printRaw(w io.Writer, cfg config, raw groupcommit.Result) error {
	_, err := fmt.Fprintf(w, "bbolt alone, %d writers, %s: %.0f accepts/s (%.0f in a commit, %.0f commits/s)\n",
		cfg.connections, cfg.raw, raw.Rate(), raw.Batch(), raw.Rate()/raw.Batch())
	return err
}

// printLoad reports a load; it is an error if nothing was accepted.
func printLoad(w io.Writer, cfg config, l load, raw groupcommit.Result) error {
	what := "the embedded default"
	if !cfg.workers {
		what = "the api alone"
	}
	refused := 0
	for _, n := range l.refused {
		refused += n
	}
	_, err := fmt.Fprintf(w, "POST /users/ on %s, %d connections, %s: %.0f accepts/s, p50 %s, p99 %s, %d other answers\nratio: %.2f of bbolt alone\n",
		what, cfg.connections, l.took.Round(time.Millisecond), l.rate(), millis(l.percentile(50)), millis(l.percentile(99)), refused,
		l.rate()/raw.Rate())
	if err != nil {
		return err
	}
	for i, why := range l.causes() {
		if i == shownCauses {
			break
		}
		if _, err := fmt.Fprintf(w, "  %d times: %s\n", l.refused[why], why); err != nil {
			return err
		}
	}
	if len(l.latencies) == 0 {
		return fmt.Errorf("none of %d requests was accepted", refused)
	}
	return nil
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
