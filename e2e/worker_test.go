package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"handoff/e2e/internal/house"
)

// A service that is killed keeps nobody else from working, and does its own work when it is back, what it was at included.
func TestKilledWorkerHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	slow(t)
	source := newSource(t)
	s := home(t).Apart(t, "IMAGE_ALLOW="+source.addr).Start()
	ask := map[string]func() string{
		"mailer":   func() string { return s.Register("/users/").JobID },
		"notifier": func() string { return s.Register("/users/with-notifications/").JobID },
		"imager":   func() string { return s.Picture(source.url, `["resize"]`) },
		"tasker":   func() string { return s.Request("/async-task/", `{"duration_seconds":0}`).JobID },
	}
	underWay := map[string]func() string{
		"imager": func() string {
			source.block()
			return s.Picture(source.url, `["resize"]`)
		},
		"tasker": func() string { return s.Request("/async-task/", `{"duration_seconds":2}`).JobID },
	}
	for _, down := range []string{"mailer", "notifier", "imager", "tasker"} {
		t.Run(down, func(t *testing.T) {
			cut := ""
			if begin, ok := underWay[down]; ok {
				cut = begin()
				s.AwaitRunning(cut)
			}
			s.Program(down).Kill()
			source.open()
			var waiting []string
			for range 5 {
				waiting = append(waiting, ask[down]())
			}
			for name, ask := range ask {
				if needs := down == "mailer" && name == "notifier"; name != down && !needs {
					s.AwaitState(ask(), "succeeded")
				}
			}
			for _, id := range waiting {
				notTouched(t, s, id, down)
			}
			s.Program(down).Start()
			for _, id := range waiting {
				s.AwaitState(id, "succeeded")
			}
			if cut != "" {
				if j := s.AwaitState(cut, "succeeded"); j.Tasks[0].Attempt != 2 {
					t.Errorf("what was under way shows attempt %d, want 2", j.Tasks[0].Attempt)
				}
			}
		})
	}
}

func notTouched(t *testing.T, s *house.Site, id, service string) {
	t.Helper()
	for _, task := range s.Job(id).Tasks {
		if task.Service == service && task.State != "queued" {
			t.Errorf("the task of %s, which is not there, is %s", service, task.State)
		}
	}
}

// Requests are taken while there is no NATS, and what they ask for is done when it is back.
func TestStoppedNATSKeepsNobodyFromRegistering(t *testing.T) {
	t.Parallel()
	s := home(t).Apart(t).Start()
	nats := s.Program(house.NATSServer)
	for name, end := range map[string]func(){"stopped": nats.Stop, "killed": nats.Kill} {
		t.Run(name, func(t *testing.T) {
			end()
			var jobs []string
			for range 5 {
				jobs = append(jobs, s.Register("/users/with-notifications/").JobID)
			}
			jobs = append(jobs, s.Request("/async-task/", `{"duration_seconds":0}`).JobID)
			for _, id := range jobs {
				if j := s.Job(id); j.State != "queued" {
					t.Errorf("job %s is %s", id, j.State)
				}
			}
			house.Eventually(t, "a report that there is no NATS", func() error {
				var h struct {
					Status string
					NATS   struct{ Connected bool }
				}
				if s.Get("/health").Is(http.StatusOK).JSON(&h); h.Status == "ok" || h.NATS.Connected {
					return fmt.Errorf("it says %+v", h)
				}
				return nil
			})
			nats.Start()
			for _, id := range jobs {
				s.AwaitState(id, "succeeded")
			}
			s.AwaitReady()
		})
	}
}

// Ten tasks at once take about as long as one: every one has begun before any has ended.
func TestTasksRunAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t).Start()
	const tasks = 10
	answers := make(chan *house.Answer, tasks)
	for range tasks {
		go func() {
			a, err := s.Try(t.Context(), http.MethodPost, "/async-task/", "")
			if err != nil {
				t.Errorf("POST /async-task/: %v", err)
			}
			answers <- a
		}()
	}
	var jobs []string
	for range tasks {
		a := <-answers
		if a == nil {
			t.FailNow()
		}
		var accepted house.Accepted
		a.Is(http.StatusAccepted).JSON(&accepted)
		jobs = append(jobs, accepted.JobID)
	}
	first := s.AwaitState(jobs[0], "succeeded").Tasks[0]
	began, ended := first.StartedAt, first.EndedAt
	for _, id := range jobs[1:] {
		task := s.AwaitState(id, "succeeded").Tasks[0]
		if task.StartedAt.After(began) {
			began = task.StartedAt
		}
		if task.EndedAt.Before(ended) {
			ended = task.EndedAt
		}
	}
	if began.IsZero() || !began.Before(ended) {
		t.Errorf("the last task began at %v, when the first had ended at %v", began, ended)
	}
}
