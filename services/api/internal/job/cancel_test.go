package job_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// Whatever a service has said and goes on to say of the generation that was cancelled, the task stays cancelled, and what its record
// is overruled with says so to everybody who reads it.
func TestACancelledTaskStaysCancelled(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		said := history(t)
		task := queued()
		at := rapid.IntRange(0, len(said)).Draw(t, "cancelled before")
		for _, s := range said[:at] {
			task, _ = job.Fold(task, s)
		}
		if task.State.Ended() {
			return
		}
		now := start().Add(time.Hour)
		task = job.Cancel(task, now)
		if task.State != event.Cancelled || !task.Untold || task.Due != nil || !task.Ended.Equal(now) || len(task.Steps) == 0 {
			t.Fatalf("cancelled it is %+v", task)
		}
		for _, s := range said[max(at-1, 0):] {
			if s.Record.Generation > task.Generation {
				break // asked for again
			}
			s.At = s.At.Add(2 * time.Hour)
			task, _ = job.Fold(task, s)
			if task.State != event.Cancelled {
				t.Fatalf("%+v has made it %s", s.Record, task.State)
			}
			over := job.Overrule(task, s.Record)
			r := job.Record(&over, now)
			if r.State != event.Cancelled || r.Generation != task.Generation || r.Attempt < s.Record.Attempt && r.Generation == s.Record.Generation {
				t.Fatalf("%+v is overruled with %+v", s.Record, r)
			}
			if s.Record.State == event.Cancelled && s.Record.Generation == task.Generation {
				continue // it says how by itself
			}
			if last := r.Steps[len(r.Steps)-1]; last.State != event.Cancelled || len(r.Steps) > event.MaxSteps {
				t.Fatalf("the steps are %+v", r.Steps)
			}
			if job.Behind(r, &task) {
				t.Fatalf("%+v is behind %+v", r, task)
			}
		}
	})
}

func TestACancelSaysWhatWasDoneBefore(t *testing.T) {
	t.Parallel()
	now := start()
	for i, c := range []struct {
		known job.Task
		read  *event.Record // nil: there is none
		want  string
	}{
		{job.Task{State: event.Queued}, nil, ""},
		{job.Task{State: event.Running, Attempt: 2}, nil, "cancelled while attempt 2 ran: what it had done stays done"},
		{job.Task{State: event.Retrying, Attempt: 2, Error: "no route"}, nil, "no route"},
		{
			job.Task{State: event.Queued}, &event.Record{State: event.Running, Attempt: 1},
			"cancelled while attempt 1 ran: what it had done stays done",
		},
		{
			job.Task{State: event.Running, Attempt: 1}, &event.Record{State: event.Succeeded, Attempt: 1},
			"cancelled, but attempt 1 succeeded before it heard of that: what it did stays done",
		},
		{job.Task{State: event.Running, Attempt: 1}, &event.Record{State: event.Dead, Attempt: 1, Error: "no such host"}, "no such host"},
		{job.Task{State: event.Queued, Generation: 1}, &event.Record{State: event.Dead, Attempt: 7, Error: "old"}, ""},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			task := job.Cancel(c.known, now)
			if c.read != nil {
				task = job.Overrule(task, c.read)
			}
			if last := task.Steps[len(task.Steps)-1]; task.Error != c.want || last.State != event.Cancelled || !last.At.Equal(now) {
				t.Errorf("it says %q, want %q; the steps are %+v", task.Error, c.want, task.Steps)
			}
		})
	}
}
