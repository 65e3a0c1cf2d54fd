package bolt_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

func TestOffWindowGivesWhatHasSettledInPages(t *testing.T) {
	t.Parallel()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "api.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c := &commit.Changes{Jobs: map[string]*job.Job{}, LastKey: 110}
	for i := range 10 {
		j := &job.Job{ID: fmt.Sprint("job-", i), Key: uint64(100 + i), Stream: "TASKS", Tasks: []job.Task{{Service: "tasker", State: event.Succeeded}}}
		c.Jobs[j.ID] = j
		c.Accepts = append(c.Accepts, commit.Accept{Key: j.Key, Stream: j.Stream, Job: j.ID})
	}
	if err := s.Commit(c); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(&commit.Changes{Settled: []uint64{101, 102, 108}}); err != nil {
		t.Fatal(err)
	}
	var got []uint64
	pages := 0
	for after := uint64(0); ; pages++ {
		found, next, err := s.OffWindow(after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range found {
			got = append(got, j.Key)
		}
		if next == after {
			break
		}
		after = next
	}
	if want := []uint64{101, 102, 108}; !slices.Equal(got, want) || pages != 4 {
		t.Errorf("off the window are %v in %d pages, want %v in 4", got, pages, want)
	}
	if j, err := s.JobByKey(105); err != nil || j.ID != "job-5" {
		t.Errorf("key 105 is %+v, %v", j, err)
	}
	if _, err := s.JobByKey(99); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("there is no key 99, got %v", err)
	}
}

func TestOrphansAreDroppedUnlessReplaced(t *testing.T) {
	t.Parallel()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "api.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var all []commit.Orphan
	for i := range 5 {
		all = append(all, commit.Orphan{Job: fmt.Sprint("job-", i), Service: "mailer", Seen: job.Seen{
			Record: &event.Record{State: event.Running}, Revision: uint64(i + 1), At: time.Now(),
		}})
	}
	if err := s.Commit(&commit.Changes{Orphans: all}); err != nil {
		t.Fatal(err)
	}
	var read []commit.Orphan
	for last := (commit.Orphan{}); ; last = read[len(read)-1] {
		found, err := s.Orphans(last, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			break
		}
		read = append(read, found...)
	}
	if len(read) != 5 {
		t.Fatalf("read %d orphans, want 5", len(read))
	}
	newer := all[3]
	newer.Seen.Revision = 9
	if err := s.Commit(&commit.Changes{Orphans: []commit.Orphan{newer}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(&commit.Changes{Dropped: append(read[1:4:4], commit.Orphan{Job: "none", Service: "mailer"})}); err != nil {
		t.Fatal(err)
	}
	left, err := s.Orphans(commit.Orphan{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, o := range left {
		ids = append(ids, o.Job)
	}
	if want := []string{"job-0", "job-3", "job-4"}; !slices.Equal(ids, want) {
		t.Errorf("left are %v, want %v", ids, want)
	}
}
