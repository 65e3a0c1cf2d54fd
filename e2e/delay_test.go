package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"handoff/e2e/internal/house"
)

// later asks for a task that is to wait, and gives its id and when it is due.
func later(t *testing.T, s *house.Site, body string) (id string, due time.Time) {
	t.Helper()
	var a struct {
		JobID  string    `json:"job_id"`
		Status string    `json:"status"`
		RunAt  time.Time `json:"run_at"`
	}
	s.Post("/async-task/", body).Is(http.StatusAccepted).JSON(&a)
	if a.Status != "scheduled" || a.RunAt.IsZero() {
		t.Fatalf("the answer is %+v", a)
	}
	return a.JobID, a.RunAt
}

// inTime checks that a job was not begun before it was due.
func inTime(t *testing.T, s *house.Site, id string, due time.Time) {
	t.Helper()
	task := s.AwaitState(id, "succeeded").Tasks[0]
	t.Logf("begun %s after it was due", task.StartedAt.Sub(due))
	if task.StartedAt.Before(due) || task.Attempt != 1 {
		t.Errorf("it was due at %v, and the task is %+v", due, task)
	}
}

// awaitTime waits until a time has come.
func awaitTime(t *testing.T, at time.Time) {
	t.Helper()
	house.Eventually(t, "its time", func() error {
		if time.Now().Before(at) {
			return fmt.Errorf("it is at %v", at)
		}
		return nil
	})
}

func TestDelayedJobRunsWhenItIsDue(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t).Start()
	id, due := later(t, s, `{"duration_seconds":0,"delay":"2s"}`)
	if j := s.Job(id); j.State != "scheduled" || j.Tasks[0].State != "queued" {
		t.Errorf("the job is %+v", j)
	}
	if a := s.Get("/jobs/?state=scheduled").Is(http.StatusOK); !strings.Contains(string(a.Body), id) {
		t.Errorf("it is not among those that are scheduled: %s", a.Body)
	}
	inTime(t, s, id, due)
	past := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	if a := s.Request("/async-task/", fmt.Sprintf(`{"duration_seconds":0,"run_at":%q}`, past)); a.Status != "queued" {
		t.Errorf("one that is overdue is %+v", a)
	}
}

// A delay goes on while api and NATS are restarted, and when api.db or NATS's data is lost.
func TestDelayOutlivesRestartsAndLosses(t *testing.T) {
	t.Parallel()
	slow(t)
	for name, lose := range map[string]func(*testing.T, *house.Site){
		"restart": func(_ *testing.T, s *house.Site) { s.Program("api").Kill(); s.Program(house.NATSServer).Kill() },
		"no api.db": func(t *testing.T, s *house.Site) {
			t.Helper()
			s.Program("api").Kill()
			if err := os.Remove(filepath.Join(s.Dir, "api.db")); err != nil {
				t.Fatal(err)
			}
		},
		"no NATS data": func(t *testing.T, s *house.Site) {
			t.Helper()
			s.Program(house.NATSServer).Kill()
			if err := os.RemoveAll(filepath.Join(s.Dir, "nats")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := home(t).Apart(t).Start()
			soon, due := later(t, s, `{"duration_seconds":0,"delay":2}`)
			far, _ := later(t, s, `{"duration_seconds":0,"delay":"24h"}`)
			house.Eventually(t, "both messages", func() error { return inStream(t, s, "TASKS", 2) })
			lose(t, s)
			for _, p := range s.Programs {
				if !p.Running() {
					p.Start()
				}
			}
			house.Eventually(t, "the job, though the store may be new", func() error {
				a, err := s.Try(t.Context(), http.MethodGet, "/jobs/"+soon, "")
				if err == nil && a.Status != http.StatusOK {
					err = fmt.Errorf("it is %d %s", a.Status, a.Body)
				}
				return err
			})
			s.AwaitReady()
			inTime(t, s, soon, due)
			if j := s.Job(far); j.State != "scheduled" {
				t.Errorf("the one of tomorrow is %+v", j)
			}
			cancel(t, s, far)
			awaitRecord(t, s, "tasker", far)
		})
	}
}

// A delayed job that is cancelled is never begun.
func TestCancelledBeforeItIsDue(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t).Start()
	id, due := later(t, s, `{"duration_seconds":0,"delay":"1s"}`)
	cancel(t, s, id)
	awaitTime(t, due)
	other, due := later(t, s, `{"duration_seconds":0,"delay":"1s"}`)
	inTime(t, s, other, due)
	never(t, s, id)
}

// What has not been begun by its deadline is dead and says so.
func TestDeadlinePassesWhileTheServiceIsStopped(t *testing.T) {
	t.Parallel()
	s := home(t).Apart(t).Start()
	s.Program("tasker").Stop()
	id := s.Request("/async-task/", `{"duration_seconds":0,"deadline":"1s"}`).JobID
	end := time.Now().Add(time.Second)
	kept := s.Request("/async-task/", `{"duration_seconds":0,"deadline":"1h"}`).JobID
	awaitTime(t, end)
	s.Program("tasker").Start()
	j := s.AwaitState(id, "dead")
	if task := j.Tasks[0]; !strings.HasPrefix(task.Error, "not begun by its deadline") || task.Attempt != 0 {
		t.Errorf("the task is %+v", task)
	}
	s.AwaitState(kept, "succeeded")
}
