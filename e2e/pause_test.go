package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"handoff/e2e/internal/house"
)

type serviceView struct {
	Paused      bool   `json:"paused"`
	PausedUntil string `json:"paused_until"`
	Waiting     int    `json:"waiting"`
}

// A service that is paused is given nothing, over a restart of everything; the others don't notice, and it goes on from where it was.
func TestAPausedServiceWaitsAlone(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t).Start()
	s.Post("/services/mailer/pause", "").Is(http.StatusOK)
	user := s.Register("/users/with-notifications/")
	var view serviceView
	house.Eventually(t, "a mailer that waits, and a notice", func() error {
		s.Get("/services/mailer").Is(http.StatusOK).JSON(&view)
		j := s.Job(user.JobID)
		if !view.Paused || view.PausedUntil != "" || view.Waiting != 1 || j.Tasks[1].State != "succeeded" {
			return fmt.Errorf("%+v, %+v", view, j)
		}
		return nil
	})
	if j := s.Job(user.JobID); j.Tasks[0].Service != "mailer" || j.Tasks[0].State != "queued" {
		t.Errorf("the mailer works although it is paused: %+v", j)
	}
	if report := s.Get("/health").Is(http.StatusOK); !strings.Contains(string(report.Body), "The mailer is paused") {
		t.Errorf("/health says nothing of it: %s", report.Body)
	}
	s.Programs[0].Stop()
	s.Programs[0].Start()
	s.AwaitReady()
	if s.Get("/services/mailer").Is(http.StatusOK).JSON(&view); !view.Paused {
		t.Error("a restart ended the pause")
	}
	s.Post("/services/mailer/resume", "").Is(http.StatusOK)
	s.AwaitState(user.JobID, "succeeded")
}
