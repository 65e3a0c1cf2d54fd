package web_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/job"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(t)
	for _, path := range []string{"/jobs/j1/cancel", "/jobs/j1/cancel/"} {
		var got map[string]any
		c.post(path, "").is(202).has("Location", "/jobs/j1").into(&got)
		if got["job_id"] != "j1" || got["status"] != "cancelled" || got["status_url"] != "/jobs/j1" {
			t.Errorf("%s is answered %v", path, got)
		}
	}
	c.post("/jobs/a.b/cancel", "").problem(404)
	for want, err := range map[int]error{
		404: job.ErrNotFound, 409: job.ErrEnded, 503: &accept.UnavailableError{Reason: "not now", RetryAfter: time.Second},
		507: accept.ErrNoSpace, 500: errors.New("boom"),
	} {
		w.accepts.mu.Lock()
		w.accepts.err = fmt.Errorf("cancel: %w", err)
		w.accepts.mu.Unlock()
		c.post("/jobs/j1/cancel", "").problem(want)
	}
}
