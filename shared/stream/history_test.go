package stream_test

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// copies gives the Nats-Msg-Ids of what HISTORY holds, in order, as soon as there are n.
func copies(t *testing.T, js jetstream.JetStream, n int) []string {
	t.Helper()
	s, err := js.Stream(t.Context(), stream.History)
	if err != nil {
		t.Fatal(err)
	}
	var info *jetstream.StreamInfo
	eventually(t, func() bool {
		if info, err = s.Info(t.Context()); err != nil {
			t.Fatal(err)
		}
		return info.State.Msgs >= uint64(n)
	})
	var ids []string
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.Header.Get(jetstream.MsgIDHeader))
	}
	return ids
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}

func publish(t *testing.T, js jetstream.JetStream, subject, id string) {
	t.Helper()
	if _, err := js.Publish(t.Context(), subject, []byte("{}"), jetstream.WithMsgID(id)); err != nil {
		t.Fatal(err)
	}
}

func TestHistoryCopiesEventsOnly(t *testing.T) {
	t.Parallel()
	js := natstest.Run(t).JetStream()
	var want []string
	for _, r := range stream.Routes() {
		publish(t, js, "later."+r.Subject, "later-"+r.Subject)
		publish(t, js, stream.RetrySubject("mailer", r.Type), "retry-"+r.Subject)
		publish(t, js, r.Subject, r.Subject)
		want = append(want, r.Subject)
	}
	publish(t, js, stream.DeadSubject("mailer", "user.created"), "dead")
	got := copies(t, js, len(want))
	slices.Sort(got) // the sources are read side by side
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("HISTORY holds %v, want %v", got, want)
	}
}

func TestHistoryOffAndOnAgain(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	js := srv.JetStream()
	on, off := config(), stream.Config{MaxStore: natstest.MaxStore}
	ensure(t, js, off)
	if _, err := js.Stream(t.Context(), stream.History); err == nil {
		t.Fatal("HISTORY was made though it is off")
	}
	publish(t, js, "user.created", "before")

	ensure(t, js, on)
	publish(t, js, "user.created", "on")
	if got := copies(t, js, 2); !slices.Equal(got, []string{"before", "on"}) {
		t.Fatalf("on: %v", got)
	}

	ensure(t, js, off)
	// The server takes its consumer away a moment later. From then on nothing can be copied.
	eventually(t, func() bool {
		s, err := js.Stream(t.Context(), stream.Users)
		return err == nil && s.CachedInfo().State.Consumers == 2 // its services
	})
	publish(t, js, "user.created", "off")
	if got := copies(t, js, 2); !slices.Equal(got, []string{"before", "on"}) {
		t.Fatalf("off: %v", got)
	}

	// What is still in the window follows, and nothing comes twice.
	ensure(t, js, on)
	publish(t, js, "user.created", "on again")
	if got, want := copies(t, js, 4), []string{"before", "on", "off", "on again"}; !slices.Equal(got, want) {
		t.Fatalf("on again: %v, want %v", got, want)
	}
}
