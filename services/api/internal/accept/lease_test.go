package accept_test

import (
	"errors"
	"testing"

	"handoff/services/api/internal/accept"
	"handoff/shared/event"
)

type refusing string

func (r *refusing) Refusing() string { return string(*r) }

func TestUnderALeaseNothingIsAcceptedWhileItRefuses(t *testing.T) {
	t.Parallel()
	r := opened(t)
	why := refusing("another api holds this store")
	r.Under(&why)
	_, err := r.Register(t.Context(), accept.Key{}, "a@example.org", "a", false)
	unavailable(t, "register", err)
	_, err = r.Request(t.Context(), accept.Key{}, event.TaskRequestedData{})
	unavailable(t, "request", err)
	var u *accept.UnavailableError
	if errors.As(err, &u) && u.Reason != string(why) {
		t.Errorf("the reason is %q, want %q", u.Reason, why)
	}
	why = ""
	if _, err := r.Register(t.Context(), accept.Key{}, "a@example.org", "a", false); err != nil {
		t.Errorf("once it is ours: %v", err)
	}
}
