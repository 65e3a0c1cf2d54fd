package stream_test

import (
	"testing"

	"handoff/shared/event"
	"handoff/shared/stream"
)

func TestLaterSubject(t *testing.T) {
	t.Parallel()
	subject := stream.LaterSubject(event.UserCreated)
	if subject != "later.user.created" || !stream.IsLater(subject) || stream.IsLater("user.created") {
		t.Errorf("it waits on %s", subject)
	}
}

func TestLimitIsThatOfTheStream(t *testing.T) {
	t.Parallel()
	cfg := stream.Config{MaxStore: 1 << 30}
	if got, want := cfg.Limit(stream.Users), cfg.Limit(stream.Images); got <= want || want <= 0 {
		t.Errorf("limits are %d and %d", got, want)
	}
	if got := cfg.Limit(stream.Dead); got != 0 {
		t.Errorf("a stream that is no work stream has %d", got)
	}
}
