package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"handoff/e2e/internal/house"
)

// A full disk is answered with 507 and a problem, reads go on, and all that was accepted is there and done: while the disk is full,
// after the api was killed meanwhile, and when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := home(t).Apart(t)
	room := filepath.Join(s.Dir, "api")
	if err := house.GiveRoom(t, room, 64<<20); err != nil {
		t.Skipf("NOT TESTED: a full disk: %v", err)
	}
	api := s.Program("api")
	api.Setenv("DATA_DIR=" + room)
	s.Start()
	accepted := []house.Accepted{s.Register("/users/")}
	free := house.FillDisk(t, room)

	ask := func() *house.Answer {
		body, _ := s.Registration()
		return s.Post("/users/", body)
	}
	refused := func() *house.Answer {
		for {
			a := ask()
			if a.Status != http.StatusCreated {
				return a.Is(http.StatusInsufficientStorage)
			}
			var taken house.Accepted
			a.JSON(&taken)
			accepted = append(accepted, taken)
		}
	}
	var problem struct{ Title, Detail string }
	if a := refused().JSON(&problem); a.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(problem.Detail, "no space") {
		t.Errorf("it is refused as %s, %+v", a.Header.Get("Content-Type"), problem)
	}
	check := func() {
		t.Helper()
		for _, a := range accepted {
			s.Get("/users/" + a.ID).Is(http.StatusOK)
			s.Get("/jobs/" + a.JobID).Is(http.StatusOK)
		}
	}
	check()
	var health struct {
		Status  string
		Reasons []string
	}
	if s.Get("/health").JSON(&health); health.Status != "degraded" || !strings.Contains(fmt.Sprint(health.Reasons), "no space left") {
		t.Errorf("it says of itself %+v", health)
	}

	api.Kill()
	api.Start()
	s.AwaitReady()
	check()
	refused()
	check()

	free()
	house.Eventually(t, "accepts that pass again", func() error {
		if a := ask(); a.Status != http.StatusCreated {
			return fmt.Errorf("%d %s", a.Status, a.Body)
		}
		return nil
	})
	for _, a := range accepted {
		s.AwaitState(a.JobID, "succeeded")
	}
	house.Eventually(t, "an api that is well", func() error {
		if s.Get("/health").JSON(&health); health.Status != "ok" {
			return fmt.Errorf("it says of itself %+v", health)
		}
		return nil
	})
}

// In one process NATS has the same disk. What it could not write to it writes to no more until it is started again, which is done.
func TestFullDiskOfOneProcess(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t)
	if err := house.GiveRoom(t, s.Dir, 128<<20); err != nil {
		t.Skipf("NOT TESTED: a full disk: %v", err)
	}
	s.Start()
	var jobs []string
	for range 5 { // their ends find no room
		jobs = append(jobs, s.Request("/async-task/", `{"duration_seconds":1}`).JobID)
	}
	s.AwaitRunning(jobs[len(jobs)-1])
	free := house.FillDisk(t, s.Dir)
	house.Eventually(t, "a NATS that could not write", func() error {
		if !strings.Contains(s.Log(), "NATS could not write") {
			return errors.New("it has not")
		}
		return nil
	})
	free()
	house.Eventually(t, "accepts that pass again", func() error {
		a := s.Post("/async-task/", `{"duration_seconds":0.01}`)
		if a.Status != http.StatusAccepted {
			return fmt.Errorf("%d %s", a.Status, a.Body)
		}
		var accepted house.Accepted
		a.JSON(&accepted)
		jobs = append(jobs, accepted.JobID)
		return nil
	})
	for _, id := range jobs {
		s.AwaitState(id, "succeeded")
	}
}
