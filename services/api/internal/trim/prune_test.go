package trim_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/trim"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// shelf is a store with jobs that are off the window, one a minute from an hour ago, dead where it says so.
func shelf(t *testing.T, dead ...bool) (*bolt.Store, *commit.Committer, time.Time) {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "api.db"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	w := commit.New(s, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("committer: %v", err)
		}
		_ = s.Close()
	})
	err = w.Do(func(v *commit.View) error {
		for i, d := range dead {
			state := event.Succeeded
			if d {
				state = event.Dead
			}
			at := now.Add(time.Duration(i-60) * time.Minute)
			j := &job.Job{
				ID: fmt.Sprint("job-", i), Key: v.NextKey(), Stream: stream.Tasks, Created: at,
				Tasks: []job.Task{{Service: "tasker", State: state, Ended: &at, Message: uint64(i + 1)}},
			}
			v.Accept(commit.Accept{Key: j.Key, Stream: j.Stream, Job: j.ID, Read: true}, j)
			v.Settle(j.Key)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, w, now
}

// atEnd is what is seen when all messages have been read and have gone.
func atEnd() *trim.Seen {
	seen := &trim.Seen{Streams: map[string]*trim.Stream{}}
	for _, name := range stream.WorkStreams() {
		seen.Streams[name] = &trim.Stream{First: 101, Last: 100, Read: 100, Position: math.MaxUint64, Recorded: math.MaxUint64, Oldest: 101}
	}
	return seen
}

func left(t *testing.T, s *bolt.Store) (ids []string) {
	t.Helper()
	found, err := s.OldJobs(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range found {
		ids = append(ids, j.ID)
	}
	return ids
}

func TestJobsLeaveOldestFirstAndDeadOnesStayUntilThereAreTooMany(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits trim.Limits
		want   string
	}{
		"nothing is due":      {trim.Limits{JobRetention: 2 * time.Hour}, "[job-0 job-1 job-2 job-3 job-4 job-5]"},
		"by age":              {trim.Limits{JobRetention: 56*time.Minute + 30*time.Second}, "[job-1 job-2 job-4 job-5]"},
		"by number":           {trim.Limits{JobMax: 4}, "[job-1 job-2 job-4 job-5]"},
		"too many dead":       {trim.Limits{DeadMax: 1}, "[job-0 job-3 job-4 job-5]"},
		"dead ones in excess": {trim.Limits{JobMax: 1}, "[job-1 job-2 job-5]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w, now := shelf(t, false, true, true, false, false, true)
			p := trim.NewPruner(s, w, slog.New(slog.DiscardHandler), c.limits)
			for range 2 {
				if err := p.Prune(atEnd(), now); err != nil {
					t.Fatal(err)
				}
			}
			if got := fmt.Sprint(left(t, s)); got != c.want {
				t.Errorf("left are %s, want %s", got, c.want)
			}
		})
	}
}

// A dead job that begins again is on the window: it leaves neither for its age nor because there are many, and it is none of the
// dead of which there may be too many.
func TestADeadJobThatBeginsAgainIsNotPruned(t *testing.T) {
	t.Parallel()
	s, w, now := shelf(t, true, true, true)
	p := trim.NewPruner(s, w, slog.New(slog.DiscardHandler), trim.Limits{JobMax: 1, DeadMax: 3, JobRetention: time.Second})
	do := func(f func(*commit.View) error) {
		t.Helper()
		if err := w.Do(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Prune(atEnd(), now); err != nil { // it has counted them
		t.Fatal(err)
	}
	do(func(v *commit.View) error {
		for _, id := range []string{"job-1", "job-2"} {
			j, err := v.Edit(id)
			if err != nil {
				return err
			}
			j.Tasks[0] = job.Again(j.Tasks[0], 1)
			p.Committed(&commit.Changes{Returned: []uint64{j.Key}})
		}
		return nil
	})
	died := trim.Job{ID: "job-3", Stream: stream.Tasks}
	do(func(v *commit.View) error {
		j := &job.Job{
			ID: died.ID, Key: v.NextKey(), Stream: died.Stream, Created: now,
			Tasks: []job.Task{{Service: "tasker", State: event.Dead, Ended: &now, Message: 9}},
		}
		v.Accept(commit.Accept{Key: j.Key, Stream: j.Stream, Job: j.ID, Read: true}, j)
		died.Key = j.Key
		return nil
	})
	if err := p.Settle(atEnd(), []trim.Job{died}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Prune(atEnd(), now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(left(t, s)); got != "[job-0 job-1 job-2 job-3]" {
		t.Errorf("left are %s: two of them are dead, two have begun again", got)
	}
}

func TestNothingLeavesWhileSomethingIsUnread(t *testing.T) {
	t.Parallel()
	s, w, now := shelf(t, false, false)
	p := trim.NewPruner(s, w, slog.New(slog.DiscardHandler), trim.Limits{JobMax: 1})
	seen := atEnd()
	seen.Streams[stream.Users].Last++
	if err := p.Prune(seen, now); err != nil {
		t.Fatal(err)
	}
	if got := left(t, s); len(got) != 2 {
		t.Errorf("left are %v", got)
	}
	if err := p.Prune(atEnd(), now); err != nil {
		t.Fatal(err)
	}
	if got := left(t, s); len(got) != 1 {
		t.Errorf("left are %v", got)
	}
}

func TestLeaves(t *testing.T) {
	t.Parallel()
	now := time.Now()
	expired := now.Add(-time.Hour)
	rapid.Check(t, func(t *rapid.T) {
		at := func(what string) time.Time {
			return now.Add(time.Duration(rapid.IntRange(-120, 60).Draw(t, what)) * time.Minute)
		}
		j := &job.Job{Created: at("created")}
		for range rapid.IntRange(1, 2).Draw(t, "tasks") {
			state := rapid.SampledFrom([]event.State{event.Queued, event.Retrying, event.Succeeded, event.Dead, event.Cancelled}).Draw(t, "state")
			task := job.Task{State: state}
			if state.Ended() {
				ended := at("ended")
				task.Ended = &ended
			}
			j.Tasks = append(j.Tasks, task)
		}
		excess := int64(rapid.IntRange(-1, 1).Draw(t, "excess"))
		got := trim.Leaves(j, excess, expired, now)
		mayGo := j.State().Ended() && j.State() != event.Dead
		switch {
		case got == trim.Leave && !mayGo:
			t.Fatalf("%+v leaves", j)
		case mayGo && (excess > 0 || j.Ended().Before(expired)) != (got == trim.Leave):
			t.Fatalf("%+v: %v", j, got)
		case got == trim.Stop && (excess > 0 || j.Created.Before(expired) || j.Created.After(now)):
			t.Fatalf("the walk stops at %+v", j)
		}
	})
}
