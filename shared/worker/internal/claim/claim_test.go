package claim

import (
	"errors"
	"testing"
	"time"

	"handoff/shared/event"
)

const ackWait = 4 * time.Second

func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	in := func(d time.Duration) *time.Time { at := now.Add(d); return &at }
	record := func(s event.State, change ...func(*event.Record)) *event.Record {
		r := &event.Record{State: s, Claim: 2, Attempt: 2, Generation: 1, Holder: "other"}
		for _, f := range change {
			f(r)
		}
		return r
	}
	due := func(d time.Duration) func(*event.Record) { return func(r *event.Record) { r.Due = in(d) } }
	released := func(r *event.Record) { r.Released = true }
	attempts := func(n int) func(*event.Record) { return func(r *event.Record) { r.Attempt = n } }
	cases := []struct {
		name string
		in   Input // Asked, with three attempts, at revision 7, unless said otherwise by change
		not  func(*Input)
		want Action
		wait time.Duration
	}{
		{name: "no record", want: Create},
		{name: "silent for half an AckWait", in: Input{Silent: ackWait / 2}, want: Create},
		{name: "silent for longer", in: Input{Silent: ackWait/2 + 1}, want: Drop},
		{name: "silent and not asked for", in: Input{Silent: ackWait}, not: func(i *Input) { i.Asked = false }, want: Drop},
		{name: "not asked for", not: func(i *Input) { i.Asked = false }, want: Skip},
		{name: "not asked for, with a record", in: Input{Record: record(event.Running)}, not: func(i *Input) { i.Asked = false }, want: Skip},
		{name: "past its deadline", in: Input{NotAfter: in(-1)}, want: Bury},
		{name: "at its deadline", in: Input{NotAfter: in(0)}, want: Create},
		{name: "succeeded", in: Input{Record: record(event.Succeeded), Generation: 1}, want: Skip},
		{name: "dead, older message", in: Input{Record: record(event.Dead)}, want: Skip},
		{name: "dead, redriven", in: Input{Record: record(event.Dead, attempts(3)), Generation: 2}, want: TakeOver},
		{name: "cancelled, redriven", in: Input{Record: record(event.Cancelled), Generation: 2}, want: TakeOver},
		{name: "redriven past the deadline", in: Input{Record: record(event.Dead), Generation: 2, NotAfter: in(-1)}, want: Bury},
		{name: "retrying, due", in: Input{Record: record(event.Retrying, due(0))}, want: TakeOver},
		{name: "retrying, no due time", in: Input{Record: record(event.Retrying)}, want: TakeOver},
		{name: "retrying, not due", in: Input{Record: record(event.Retrying, due(time.Minute))}, want: Later, wait: time.Minute},
		{name: "retrying, used up", in: Input{Record: record(event.Retrying, attempts(3))}, want: Bury},
		{name: "retrying, used up, redriven", in: Input{Record: record(event.Retrying, attempts(3)), Generation: 2}, want: TakeOver},
		{name: "given back on the last attempt", in: Input{Record: record(event.Retrying, attempts(3), released)}, want: TakeOver},
		{name: "running here", in: Input{Record: record(event.Running), Mine: true}, want: Attach},
		{name: "running here for a lower generation", in: Input{Record: record(event.Running), Mine: true, Generation: 2}, want: Later, wait: ackWait},
		{name: "running elsewhere", in: Input{Record: record(event.Running), WatchSpace: true}, want: Watch},
		{name: "running elsewhere, enough are watched", in: Input{Record: record(event.Running)}, want: Later, wait: ackWait},
		{name: "watched, has moved", in: Input{Record: record(event.Running), Watched: 6}, want: Later, wait: ackWait},
		{name: "watched, has not moved", in: Input{Record: record(event.Running), Watched: 7}, want: TakeOver},
		{name: "watched, used up", in: Input{Record: record(event.Running, attempts(3)), Watched: 7}, want: Bury},
		{name: "watched, used up, redriven", in: Input{Record: record(event.Running, attempts(3)), Watched: 7, Generation: 2}, want: TakeOver},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := c.in
			i.Now, i.AckWait, i.Attempts, i.Revision, i.Asked = now, ackWait, 3, 7, true
			if c.not != nil {
				c.not(&i)
			}
			got := Decide(i)
			if got.Action != c.want || got.Delay != c.wait || (got.Action == Bury) != (got.Reason != "") {
				t.Errorf("%s, %+v; want %s, %s", got.Action, got, c.want, c.wait)
			}
		})
	}
}

func TestBegin(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	before := now.Add(-time.Hour)
	prev := func(change func(*event.Record)) *event.Record {
		r := &event.Record{State: event.Retrying, Claim: 4, Attempt: 2, Generation: 3, Holder: "other", Error: "boom", Started: &before,
			Ended: &before, Due: &before, Result: []byte("1"), Progress: &event.Progress{Percent: 9},
			Steps: []event.Step{{Attempt: 2, State: event.Retrying}}}
		if change != nil {
			change(r)
		}
		return r
	}
	cases := []struct {
		name              string
		prev              *event.Record
		message           int
		claim, attempt, g int
		started           time.Time
		error             string
	}{
		{"the first", nil, 2, 1, 1, 2, now, ""},
		{"the next attempt", prev(nil), 0, 5, 3, 3, before, "boom"},
		{"after a release", prev(func(r *event.Record) { r.Released = true }), 3, 5, 2, 3, before, "boom"},
		{"a higher generation", prev(nil), 4, 5, 1, 4, now, ""},
		{"a higher generation after a release", prev(func(r *event.Record) { r.Released = true }), 4, 5, 1, 4, now, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := Begin(c.prev, c.message, "me", "trace", now)
			if r.Claim != c.claim || r.Attempt != c.attempt || r.Generation != c.g || !r.Started.Equal(c.started) || r.Error != c.error {
				t.Errorf("%+v", r)
			}
			if r.State != event.Running || r.Holder != "me" || r.TraceParent != "trace" || r.Released || r.Due != nil || r.Ended != nil || r.Result != nil || r.Progress != nil {
				t.Errorf("left over: %+v", r)
			}
			if last := r.Steps[len(r.Steps)-1]; last.State != event.Running || last.Attempt != c.attempt {
				t.Errorf("step %+v", last)
			}
		})
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	soon := now.Add(time.Minute)
	boom := errors.New("boom")
	cases := []struct {
		name     string
		outcome  Outcome
		attempt  int
		notAfter *time.Time
		state    event.State
		due      time.Duration // -1 for none
		error    string
		step     string
		released bool
	}{
		{"success", Outcome{Result: []byte("1")}, 1, nil, event.Succeeded, -1, "", "", false},
		{"late success", Outcome{Result: []byte("1")}, 3, &now, event.Succeeded, -1, "", "", false},
		{"error", Outcome{Err: boom, Delay: time.Second}, 2, nil, event.Retrying, time.Second, "boom", "boom", false},
		{"last error", Outcome{Err: boom, Delay: time.Second}, 3, nil, event.Dead, -1, "boom", "boom", false},
		{"permanent", Outcome{Err: boom, Permanent: true}, 1, nil, event.Dead, -1, "boom", "boom", false},
		{"no time left", Outcome{Err: boom, Delay: time.Hour}, 1, &soon, event.Dead, -1, "boom", "boom", false},
		{"time left", Outcome{Err: boom, Delay: time.Minute}, 1, &soon, event.Retrying, time.Minute, "boom", "boom", false},
		{"given back", Outcome{Err: boom, Release: true}, 3, &now, event.Retrying, 0, "earlier", "boom", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			running := &event.Record{State: event.Running, Claim: 4, Attempt: c.attempt, Generation: 1, Holder: "me", Error: "earlier"}
			r := End(running, c.outcome, 3, c.notAfter, now)
			if r.State != c.state || r.Error != c.error || r.Released != c.released || r.State.Ended() != (r.Ended != nil) || string(r.Result) != string(c.outcome.Result) {
				t.Errorf("%+v", r)
			}
			if (c.due < 0) != (r.Due == nil) || (r.Due != nil && !r.Due.Equal(now.Add(c.due))) {
				t.Errorf("due %v", r.Due)
			}
			if last := r.Steps[len(r.Steps)-1]; last.Error != c.step || last.State != c.state {
				t.Errorf("step %+v", last)
			}
			if running.State != event.Running || len(running.Steps) != 0 {
				t.Error("the claim's own record was changed")
			}
		})
	}
}

func TestBuried(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	prev := &event.Record{State: event.Running, Claim: 4, Attempt: 3, Generation: 1, Holder: "killed"}
	for name, c := range map[string]struct {
		prev                       *event.Record
		message, claim, attempt, g int
	}{
		"never begun":       {nil, 2, 1, 0, 2},
		"begun":             {prev, 1, 5, 3, 1},
		"never begun again": {prev, 2, 5, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Buried(c.prev, c.message, "me", "", "why", now)
			if r.State != event.Dead || r.Claim != c.claim || r.Attempt != c.attempt || r.Generation != c.g || r.Error != "why" || r.Ended == nil || r.Holder != "me" {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestActionsHaveNames(t *testing.T) {
	t.Parallel()
	for a := Drop; a <= Bury; a++ {
		if a.String() == "" {
			t.Errorf("action %d has none", a)
		}
	}
}
