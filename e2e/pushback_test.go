package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"handoff/e2e/internal/house"
)

// A service that stays away fills its stream, and then what is accepted for it has to wait: its domain is refused, no other, and takes
// requests again by itself once the service is back. Everything that was accepted is done.
func TestStoppedServicePushesBackAlone(t *testing.T) {
	t.Parallel()
	slow(t)
	s := home(t).Apart(t, "NATS_MAX_STORE=67108864", "UNRELAYED_MAX=300", "HISTORY=off").Start()
	s.Program("tasker").Stop()
	accepted := fillTasks(t, s)
	for range 5 {
		s.Register("/users/") // fails the test if it is refused
	}
	a := s.Post("/async-task/", `{"duration_seconds":0}`).Is(http.StatusServiceUnavailable)
	if a.Header.Get("Retry-After") == "" {
		t.Errorf("a 503 without Retry-After: %v", a.Header)
	}
	s.AwaitState(s.Register("/users/").JobID, "succeeded")

	s.Program("tasker").Start()
	house.Eventually(t, "tasks are accepted again", func() error {
		a, err := s.Try(t.Context(), http.MethodPost, "/async-task/", `{"duration_seconds":0}`)
		if err == nil && a.Status != http.StatusAccepted {
			err = fmt.Errorf("status %d: %s", a.Status, a.Body)
		}
		return err
	})
	for i := 0; i < len(accepted); i += 250 { // each with a patience of its own
		s.AwaitState(accepted[i], "succeeded")
	}
	house.Eventually(t, "every task that was accepted is done", func() error {
		states := taskStates(t, s)
		for _, id := range accepted {
			if states[id] != "succeeded" {
				return fmt.Errorf("one of %d, job %s, is %q", len(accepted), id, states[id])
			}
		}
		return nil
	})
}

// taskStates gives the states of all jobs with a task for the tasker.
func taskStates(t *testing.T, s *house.Site) map[string]string {
	t.Helper()
	states := map[string]string{}
	for after := ""; ; {
		var page []struct{ ID, State string }
		s.Get("/jobs/?service=tasker&limit=1000" + after).Is(http.StatusOK).JSON(&page)
		for _, j := range page {
			states[j.ID] = j.State
		}
		if len(page) == 0 {
			return states
		}
		after = "&after=" + page[len(page)-1].ID
	}
}

// fillTasks asks for tasks until they are refused, and gives the jobs of those that were accepted.
func fillTasks(t *testing.T, s *house.Site) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var mu sync.Mutex
	var accepted []string
	var wait sync.WaitGroup
	for range 32 {
		wait.Go(func() {
			for {
				a, err := s.Try(ctx, http.MethodPost, "/async-task/", `{"duration_seconds":0}`)
				switch {
				case err != nil:
					t.Errorf("ask for a task: %v", err)
					return
				case a.Status == http.StatusServiceUnavailable:
					return
				case a.Status != http.StatusAccepted:
					t.Errorf("ask for a task: status %d: %s", a.Status, a.Body)
					return
				}
				var job struct {
					ID string `json:"job_id"`
				}
				if err := json.Unmarshal(a.Body, &job); err != nil {
					t.Errorf("read the answer %s: %v", a.Body, err)
					return
				}
				mu.Lock()
				accepted = append(accepted, job.ID)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return accepted
}
