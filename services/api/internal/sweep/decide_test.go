package sweep_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/job"
	"handoff/services/api/internal/sweep"
	"handoff/shared/event"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Unix(100_000, 0)
	long, soon, past := now.Add(-time.Hour), now.Add(time.Minute), now.Add(-30*time.Minute)
	record := func(s event.State, at time.Time, due *time.Time) *job.Seen {
		return &job.Seen{Record: &event.Record{State: s, Claim: 1, Due: due}, Revision: 5, At: at}
	}
	queued := job.Task{State: event.Queued, Entry: 1, Message: 3}
	running := job.Task{State: event.Running, Claim: 1, Entry: 1, Message: 3, Revision: 5, Touched: long}
	retrying := job.Task{State: event.Retrying, Claim: 1, Entry: 1, Message: 3, Revision: 5, Touched: long}
	lost := job.Task{State: event.Queued, Entry: 1}
	redriven := job.Task{State: event.Queued, Generation: 1, Entry: 2, Message: 3}
	for name, c := range map[string]struct {
		in   sweep.Input
		want sweep.Action
	}{
		"its message is still to be delivered":           {sweep.Input{Task: queued, Delivered: 2}, sweep.Wait},
		"its entry is still to be relayed":               {sweep.Input{Task: lost, Waits: true, Delivered: 9}, sweep.Wait},
		"it has ended":                                   {sweep.Input{Task: job.Task{State: event.Dead}, Delivered: 9}, sweep.Wait},
		"nobody ever asked for it":                       {sweep.Input{Task: job.Task{State: event.Queued}, Delivered: 9}, sweep.End},
		"delivered":                                      {sweep.Input{Task: queued, Delivered: 3}, sweep.Look},
		"no message, no record":                          {sweep.Input{Task: lost, Looked: true}, sweep.Reissue},
		"delivered, no record":                           {sweep.Input{Task: queued, Delivered: 3, Looked: true}, sweep.Reissue},
		"a record that was not read":                     {sweep.Input{Task: queued, Delivered: 3, Looked: true, Seen: record(event.Succeeded, long, nil)}, sweep.Project},
		"running, touched just now":                      {sweep.Input{Task: withTouch(running, now), Delivered: 3, Looked: true, Seen: record(event.Running, now, nil)}, sweep.Wait},
		"running, touched and not yet known":             {sweep.Input{Task: running, Delivered: 3, Looked: true, Seen: record(event.Running, now, nil)}, sweep.Project},
		"running, untouched":                             {sweep.Input{Task: running, Delivered: 3, Looked: true, Seen: record(event.Running, long, nil)}, sweep.Reissue},
		"retrying, not due":                              {sweep.Input{Task: retrying, Delivered: 3, Looked: true, Seen: record(event.Retrying, long, &soon)}, sweep.Wait},
		"retrying, overdue":                              {sweep.Input{Task: retrying, Delivered: 3, Looked: true, Seen: record(event.Retrying, long, &past)}, sweep.Reissue},
		"not due, its message waits":                     {sweep.Input{Task: queued, Later: true, Delivered: 9, Looked: true}, sweep.Wait},
		"not due, its message is gone":                   {sweep.Input{Task: lost, Later: true, Delivered: 9, Looked: true}, sweep.Reissue},
		"redriven, and the record is of the time before": {sweep.Input{Task: redriven, Delivered: 3, Looked: true, Seen: record(event.Dead, long, nil)}, sweep.Reissue},
	} {
		c.in.Now, c.in.Alive = now, time.Minute
		if got := sweep.Decide(c.in); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func withTouch(t job.Task, at time.Time) job.Task {
	t.Touched = at
	return t
}

func TestDecideNeverRunsAheadAndNeverGivesUp(t *testing.T) {
	t.Parallel()
	states := []event.State{event.Queued, event.Running, event.Retrying, event.Succeeded, event.Dead, event.Cancelled}
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(100_000, 0)
		ago := func(name string) time.Time {
			return now.Add(-time.Duration(rapid.IntRange(-600, 600).Draw(t, name)) * time.Second)
		}
		due := ago("due")
		in := sweep.Input{
			Now: now, Alive: time.Minute, Waits: rapid.Bool().Draw(t, "waits"), Delivered: rapid.Uint64Range(0, 4).Draw(t, "delivered"), Looked: true,
			Task: job.Task{
				State: rapid.SampledFrom(states).Draw(t, "state"), Generation: rapid.IntRange(0, 2).Draw(t, "generation"),
				Claim: rapid.IntRange(0, 2).Draw(t, "claim"), Entry: rapid.Uint64Range(0, 2).Draw(t, "entry"),
				Message: rapid.Uint64Range(0, 4).Draw(t, "message"), Touched: ago("touched"),
			},
		}
		if rapid.Bool().Draw(t, "has a record") {
			in.Seen = &job.Seen{At: ago("written"), Revision: 7, Record: &event.Record{
				State: rapid.SampledFrom(states[1:]).Draw(t, "record"), Generation: rapid.IntRange(0, 2).Draw(t, "its generation"),
				Claim: rapid.IntRange(0, 2).Draw(t, "its claim"), Due: &due,
			}}
		}
		got := sweep.Decide(in)
		switch {
		case got == sweep.Look:
			t.Fatal("looks again")
		case got != sweep.Wait && in.Task.State.Ended():
			t.Fatalf("%v for what has ended", got)
		case got == sweep.Reissue && (in.Waits || in.Task.Message > in.Delivered):
			t.Fatal("asks again for what is still to be delivered")
		case got == sweep.Reissue && in.Seen != nil && in.Seen.Record.State.Ended() && in.Seen.Record.Generation >= in.Task.Generation:
			t.Fatal("asks again for what has ended")
		}
		// What rests for ever is asked for again, or its record read, however old it is.
		in.Now, in.Waits, in.Delivered = now.Add(24*time.Hour), false, in.Task.Message
		if got := sweep.Decide(in); got == sweep.Wait && !in.Task.State.Ended() {
			t.Fatal("waits for good")
		}
	})
}
