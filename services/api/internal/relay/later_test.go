package relay_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/reissue"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// later accepts a job that is due at a time.
func (r *rig) later(id string, due time.Time) (key uint64) {
	r.t.Helper()
	r.do(func(v *commit.View) error {
		key = v.NextKey()
		j := &job.Job{
			ID: id, Type: event.UserCreated, Key: key, Stream: stream.Users, Due: &due, Waits: true,
			Tasks: []job.Task{{Service: "mailer", State: event.Queued, Entry: key}},
		}
		v.Accept(commit.Accept{Key: key, Stream: stream.Users, Subject: "later.user.created", Job: id, Data: []byte("event of " + id)}, j)
		return nil
	})
	return key
}

func (r *rig) due(id string, now time.Time) {
	r.t.Helper()
	r.do(func(v *commit.View) error {
		_, err := reissue.Due(v, id, now)
		return err
	})
}

// The event waits under an id of its own, so that the job's is free for the message that asks for it.
func TestALaterEventIsPublishedAgainWhenItIsDue(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.start()
	at := time.Unix(1000, 0)
	key := r.later("j", at)
	r.until("the first message is noted", func() bool { return r.job("j").Tasks[0].Message == 1 })
	r.due("j", at)
	r.until("the second message is noted", func() bool { return r.job("j").Tasks[0].Message == 2 })
	s, err := r.js.Stream(t.Context(), stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	for seq, want := range []struct{ subject, id string }{{"later.user.created", fmt.Sprintf("j.later.%d", key)}, {"user.created", "j"}} {
		m, err := s.GetMsg(t.Context(), uint64(seq)+1) //nolint:gosec // two
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != want.subject || m.Header.Get(jetstream.MsgIDHeader) != want.id || string(m.Data) != "event of j" {
			t.Errorf("message %d is %s on %s: %s", seq+1, m.Header.Get(jetstream.MsgIDHeader), m.Subject, m.Data)
		}
	}
}

// What becomes due while the stream can't be published to is not put there to wait any more.
func TestWhatIsDueBeforeItIsRelayedDoesNotWait(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.start()
	at := time.Unix(1000, 0)
	r.gate.set(false)
	r.later("j", at)
	r.later("k", at.Add(time.Hour))
	r.due("j", at)
	r.gate.set(true)
	r.until("both are noted", func() bool { return r.job("j").Tasks[0].Message > 0 && r.job("k").Tasks[0].Message > 0 })
	r.noEntries(stream.Users)
	s, err := r.js.Stream(t.Context(), stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n != 2 {
		t.Errorf("there are %d messages, want 2", n)
	}
}
