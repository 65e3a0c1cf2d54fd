package main

import (
	"path/filepath"
	"testing"
	"time"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

func TestFillAddsWhatItIsAskedFor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "api.db")
	for _, n := range []struct{ ended, unrelayed int }{{30, 0}, {0, 7}} {
		if err := fill(path, n.ended, n.unrelayed, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	size, err := s.Size()
	if err != nil || size.Users != 37 || size.Jobs != 37 {
		t.Errorf("it holds %+v (%v), want 37 users and jobs", size, err)
	}
	position, err := s.Position(stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	if n, _, err := s.LogSize(stream.Users, position); n != 7 || err != nil {
		t.Errorf("%d wait for the relay (%v), want 7", n, err)
	}
	var unended int
	if err := s.EachInWindow(func(j *job.Job) {
		if j.State() == event.Queued {
			unended++
		}
	}); err != nil || unended != 7 {
		t.Errorf("%d have not ended (%v), want 7", unended, err)
	}
	if met, err := s.Met(); !met || err != nil {
		t.Errorf("it has not met its NATS (%v)", err)
	}
}
