package accept_test

import (
	"errors"
	"testing"

	"handoff/services/api/internal/accept"
	"handoff/shared/event"
)

type roster struct{ full string }

func (r *roster) UsersFull() string { return r.full }

func TestNoUserIsAcceptedWhileTheRosterIsFull(t *testing.T) {
	t.Parallel()
	r := newRig(t, accept.NewEmails())
	full := &roster{full: "RECORDS is full"}
	r.LimitUsers(full)
	r.Open()
	if _, err := r.Register(t.Context(), accept.Key{}, "ada@example.com", "ada", false); !errors.Is(err, accept.ErrNoSpace) {
		t.Errorf("a user: %v", err)
	}
	if _, err := r.Request(t.Context(), accept.Key{}, event.TaskRequestedData{}); err != nil {
		t.Errorf("a task: %v", err)
	}
	full.full = ""
	if _, err := r.Register(t.Context(), accept.Key{}, "ada@example.com", "ada", false); err != nil {
		t.Errorf("a user once there is room: %v", err)
	}
}
