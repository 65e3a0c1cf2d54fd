package commit_test

import (
	"testing"
	"time"

	"handoff/services/api/internal/commit"
)

func TestMarksRiseAndOutliveTheStream(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := committer(t, s)
	run(t, c)
	made := time.Now()
	raise := func(created time.Time, sequence uint64) {
		t.Helper()
		if err := c.Do(func(v *commit.View) error { return v.RaiseMark("TASKS", created, sequence) }); err != nil {
			t.Fatal(err)
		}
	}
	raise(time.Time{}, 3)
	raise(made, 5)
	raise(made, 4)
	raise(made.Add(time.Second), 9) // another stream: what was known of the first one must not be forgotten
	raise(time.Time{}, 7)
	m, err := s.Mark("TASKS")
	if err != nil || !m.Created.Equal(made) || m.Highest != 7 {
		t.Errorf("the mark is %+v (%v), want 7 of the stream made at %v", m, err, made)
	}
}

func TestWhatWaitsForTheRelay(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := committer(t, s)
	run(t, c)
	var accepted, entry uint64
	check := func(v *commit.View, key uint64, want bool) {
		t.Helper()
		if got, err := v.Waits("TASKS", key); err != nil || got != want {
			t.Errorf("key %d waits: %t (%v), want %t", key, got, err, want)
		}
	}
	do := func(f func(*commit.View)) {
		t.Helper()
		if err := c.Do(func(v *commit.View) error { f(v); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	do(func(v *commit.View) {
		accepted = add(v, "j").Key
		entry = v.AddEntry(commit.Entry{Stream: "TASKS", Subject: "retry.tasker.task.requested"})
		check(v, accepted, true)
		check(v, entry, true)
	})
	do(func(v *commit.View) {
		check(v, accepted, true)
		check(v, entry, true)
		v.SetPosition("TASKS", accepted)
		v.LeaveEntry(entry)
		check(v, accepted, false)
		check(v, entry, false)
	})
	do(func(v *commit.View) {
		check(v, accepted, false)
		check(v, entry, false)
		check(v, 0, false)
	})
}
