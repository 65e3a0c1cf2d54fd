package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"handoff/bench/internal/embedded"
)

// level is how full everything is at one time.
type level struct {
	at     time.Duration
	health embedded.Health
	memory int64
}

// shown are the streams and buckets that are printed.
func shown() []string {
	return []string{"USERS", "TASKS", "RECORDS", "HISTORY", "KV_JOBS_mailer", "KV_JOBS_tasker"}
}

// look prints a level now and then until ctx ends, and gives them all.
func look(ctx context.Context, api *embedded.Child, every time.Duration, out io.Writer) []level {
	var all []level
	begun := time.Now()
	_, _ = fmt.Fprintf(out, "%6s %8s %8s %7s %7s %8s", "after", "api.db", "memory", "jobs", "users", "waiting")
	for _, name := range shown() {
		_, _ = fmt.Fprintf(out, " %20s", name)
	}
	_, _ = fmt.Fprintln(out, "  RECORDS/user")
	tick := time.NewTicker(every)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-ctx.Done():
			over = true // and one more level, of the end
		case <-tick.C:
		}
		h, err := api.Health(context.WithoutCancel(ctx))
		memory, merr := api.Anonymous()
		if err := errors.Join(err, merr); err != nil {
			_, _ = fmt.Fprintln(out, "  no answer:", err)
			continue
		}
		l := level{at: time.Since(begun).Round(time.Second), health: h, memory: memory}
		all = append(all, l)
		l.print(out)
	}
	return all
}

func (l *level) print(out io.Writer) {
	s := l.health.Store
	_, _ = fmt.Fprintf(out, "%6s %7.1fM %7.1fM %7d %7d %8d", l.at, mb(s.Bytes), mb(l.memory), s.Jobs, s.Users, s.Unrelayed)
	for _, name := range shown() {
		st := l.health.Stream(name)
		_, _ = fmt.Fprintf(out, " %8d of %7.2fM", st.Messages, mb(int64(st.Bytes))) //nolint:gosec // a stream's size
	}
	_, _ = fmt.Fprintf(out, "  %.0f B\n", float64(l.health.Stream("RECORDS").Bytes)/float64(max(s.Users, 1)))
}

func mb(n int64) float64 { return float64(n) / (1 << 20) }

// settle waits until nothing is unfinished.
func settle(ctx context.Context, h *house, out io.Writer) error {
	begun := time.Now()
	var err error
	for time.Since(begun) < pushPatience && ctx.Err() == nil {
		var open bool
		if open, err = unfinished(ctx, h.api.URL); err == nil && !open {
			_, err = fmt.Fprintf(out, "everything was done %s after the last request\n", time.Since(begun).Round(time.Second))
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
	return errors.Join(errors.New("something that was accepted is still not done"), err)
}

// unfinished reports whether there is a job that has not succeeded. One that is dead stays, and shows.
func unfinished(ctx context.Context, url string) (bool, error) {
	for _, state := range []string{"queued", "running", "dead", "cancelled"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/jobs/?limit=1&state="+state, http.NoBody)
		if err != nil {
			return false, err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, err
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			return false, err
		}
		if res.StatusCode != http.StatusOK || strings.TrimSpace(string(b)) != "[]" {
			return true, nil
		}
	}
	return false, nil
}

// judge says what came of it: users are all there, nobody but the stopped service's domain was refused, and what keeps a level has kept it.
func judge(levels []level, tasks, users *load, out io.Writer) error {
	if len(levels) < 4 {
		return errors.New("there are too few levels to tell anything: use a longer -duration")
	}
	var errs []error
	if n := users.others(); n > 0 {
		errs = append(errs, fmt.Errorf("users were refused: %s", users.said()))
	}
	last := levels[len(levels)-1].health.Store
	if last.Users != int64(users.accepted()) {
		errs = append(errs, fmt.Errorf("%d users were accepted and %d are known", users.accepted(), last.Users))
	}
	_, err := fmt.Fprintf(out, "%d users and %d tasks were accepted\n", users.accepted(), tasks.accepted())
	errs = append(errs, err)
	for _, m := range measures() {
		errs = append(errs, m.judge(levels, out))
	}
	return errors.Join(errs...)
}

// A measure is something that is to reach a level.
type measure struct {
	what  string
	slack float64 // by how much it may wander
	of    func(*level) float64
}

func measures() []measure {
	messages := func(stream string) func(*level) float64 {
		return func(l *level) float64 { return float64(l.health.Stream(stream).Messages) }
	}
	return []measure{
		{"jobs in api.db", 1000, func(l *level) float64 { return float64(l.health.Store.Jobs) }},
		{"MB of api.db", 4, func(l *level) float64 { return mb(l.health.Store.Bytes) }},
		{"MB of memory", 16, func(l *level) float64 { return mb(l.memory) }},
		{"messages in USERS", 500, messages("USERS")},
		{"messages in TASKS", 500, messages("TASKS")},
		{"records of the mailer", 500, messages("KV_JOBS_mailer")},
		{"records of the tasker", 500, messages("KV_JOBS_tasker")},
		{"bytes of RECORDS a user", 50, func(l *level) float64 {
			return float64(l.health.Stream("RECORDS").Bytes) / float64(max(l.health.Store.Users, 1))
		}},
	}
}

// judge compares the last third with what came before: what only grows has half as much again.
func (m measure) judge(levels []level, out io.Writer) error {
	from := len(levels) * 2 / 3
	before, last := most(levels[:from], m.of), most(levels[from:], m.of)
	if _, err := fmt.Fprintf(out, "  %-24s at most %8.1f, in the last third %8.1f, at the end %8.1f\n", m.what, before, last, m.of(&levels[len(levels)-1])); err != nil {
		return err
	}
	if last > before*1.25+m.slack {
		return fmt.Errorf("%s: no level, it grows from %.1f to %.1f", m.what, before, last)
	}
	return nil
}

func most(levels []level, of func(*level) float64) (n float64) {
	for i := range levels {
		n = max(n, of(&levels[i]))
	}
	return n
}
