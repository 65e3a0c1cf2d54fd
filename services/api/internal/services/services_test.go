package services_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/services"
	"handoff/services/api/internal/web"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

func fetched(t *testing.T, c jetstream.Consumer, wait time.Duration) int {
	t.Helper()
	batch, err := c.Fetch(1, jetstream.FetchMaxWait(wait))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for m := range batch.Messages() {
		n++
		if err := m.Ack(); err != nil {
			t.Error(err)
		}
	}
	return n
}

// A paused service is given nothing, others are, and it goes on from where it was. Ensure leaves the pause alone.
func TestAPausedServiceIsGivenNothing(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	js := server.JetStream()
	s := services.New(js, time.Now)
	if err := s.Pause(t.Context(), "mailer", 0); err != nil {
		t.Fatal(err)
	}
	server.Ensure()
	env, err := event.New("j1", time.Now(), event.UserCreatedData{UserID: "u1", Email: "a@example.com", Username: "a"}, "mailer", "notifier")
	if err != nil {
		t.Fatal(err)
	}
	b, err := env.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "user.created.notify", b); err != nil {
		t.Fatal(err)
	}
	consumer := func(name string) jetstream.Consumer {
		c, err := js.Consumer(t.Context(), stream.Users, name)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if n := fetched(t, consumer("notifier"), 10*time.Second); n != 1 {
		t.Errorf("the notifier was given %d messages, want 1", n)
	}
	if n := fetched(t, consumer("mailer"), 500*time.Millisecond); n != 0 {
		t.Errorf("the mailer was given %d messages although it is paused", n)
	}
	one, err := s.Show(t.Context(), "mailer")
	if err != nil || !one.Paused || one.PausedUntil != nil || one.Waiting != 1 || len(one.Tasks) != 1 || one.Tasks[0].Name != "welcome-email" {
		t.Errorf("the mailer is %+v (%v)", one, err)
	}
	server.Restart()
	js = server.JetStream()
	s = services.New(js, time.Now)
	for _, step := range []struct {
		do     func() error
		paused bool
		until  bool
	}{
		{func() error { return nil }, true, false},
		{func() error { return s.Pause(t.Context(), "mailer", time.Hour) }, true, true},
		{func() error { return s.Resume(t.Context(), "mailer") }, false, false},
		{func() error { return s.Resume(t.Context(), "mailer") }, false, false},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if one, err = s.Show(t.Context(), "mailer"); err != nil || one.Paused != step.paused || (one.PausedUntil != nil) != step.until {
			t.Errorf("the mailer is %+v (%v), want paused %t, with an end %t", one, err, step.paused, step.until)
		}
	}
	if n := fetched(t, consumer("mailer"), 10*time.Second); n != 1 {
		t.Errorf("the mailer was given %d messages, want 1", n)
	}
	all, err := s.List(t.Context())
	if err != nil || len(all) != len(stream.Services()) {
		t.Errorf("%+v (%v)", all, err)
	}
}

func TestWhatCannotBePaused(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	s := services.New(server.JetStream(), time.Now)
	if err := s.Pause(t.Context(), "nobody", 0); !errors.Is(err, web.ErrNoService) {
		t.Errorf("a service that is not there: %v", err)
	}
	server.Stop()
	var away *accept.UnavailableError
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := s.Pause(ctx, "mailer", 0); !errors.As(err, &away) {
		t.Errorf("without NATS: %v", err)
	}
}
