package main

import (
	"errors"
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
	if cfg.users > 0 {
		what += fmt.Sprintf(" with %d users", cfg.users)
	}
	_, err := fmt.Fprintf(w, "POST /users/ on %s, %d connections, %s: %.0f accepts/s, p50 %s, p99 %s, %d other answers\nratio: %.2f of bbolt alone\n",
		what, cfg.connections, l.took.Round(time.Millisecond), l.rate(), millis(l.percentile(50)), millis(l.percentile(99)), l.others(),
		l.rate()/raw.Rate())
	if err != nil {
		return err
	}
	if err := printCauses(w, l); err != nil {
		return err
	}
	if len(l.latencies) == 0 {
		return fmt.Errorf("none of %d requests was accepted", l.others())
	}
	return nil
}

func printHalf(w io.Writer, l load) error {
	_, err := fmt.Fprintf(w, "half of that: %.0f accepts/s, p50 %s, p99 %s, %d other answers\n",
		l.rate(), millis(l.percentile(50)), millis(l.percentile(99)), l.others())
	return errors.Join(err, printCauses(w, l))
}

func printLag(w io.Writer, l lag, accepts int) error {
	if l.cpu > 0 && accepts > 0 {
		if _, err := fmt.Fprintf(w, "  %.0f µs of processor time for each, the services' with it where they run\n", float64(l.cpu.Microseconds())/float64(accepts)); err != nil {
			return err
		}
	}
	after := "has not had them all after a minute"
	if l.after >= 0 {
		after = fmt.Sprintf("had them all %s later", l.after.Round(time.Millisecond))
	}
	_, err := fmt.Fprintf(w, "  NATS was behind by %d accepts at most, by %d at the end, and %s; %d jobs were unfinished at the end\n", l.most, l.end, after, l.open)
	return err
}

func printCauses(w io.Writer, l load) error {
	for i, why := range l.causes() {
		if i == shownCauses {
			break
		}
		if _, err := fmt.Fprintf(w, "  %d times: %s\n", l.refused[why], why); err != nil {
			return err
		}
	}
	return nil
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
