package projection_test

import (
	"errors"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// free lets every accept in.
type free struct{}

func (free) Full(string) string { return "" }

// accepter is a new one over the rig's store.
func (r *rig) accepter() *accept.Accepter {
	r.t.Helper()
	emails, keys := accept.NewEmails(), accept.NewKeys()
	if err := errors.Join(r.store.EachEmail(emails.Load), r.store.EachKeyed(keys.Load)); err != nil {
		r.t.Fatal(err)
	}
	in := accept.New(r.writer, free{}, emails, keys, time.Now)
	in.Open()
	return in
}

// The events of keyed requests, read into a store that is new, make the same requests known again.
func TestANewStoreKnowsKeysFromTheStreams(t *testing.T) {
	t.Parallel()
	lost := newRig(t)
	key := func(name string) accept.Key { return accept.NewKey(name, []byte("request")) }
	user, err := lost.accepter().Register(t.Context(), key("ada"), "ada@example.com", "Ada", true)
	if err != nil {
		t.Fatal(err)
	}
	task, err := lost.accepter().Request(t.Context(), key("task"), event.TaskRequestedData{DurationMS: 1})
	if err != nil {
		t.Fatal(err)
	}

	r := newRig(t)
	r.start()
	for _, id := range []string{user.JobID, task.ID} {
		j, err := lost.store.Job(id)
		if err != nil {
			t.Fatal(err)
		}
		a, err := lost.store.Accepted(j.Stream, j.Key)
		if err != nil {
			t.Fatal(err)
		}
		natsID := map[string][]string{"Nats-Msg-Id": {id}}
		r.publish(a.Subject, a.Data, natsID)
		r.until(id, func(*job.Job) error { return nil })
	}
	in := r.accepter()
	again, err := in.Register(t.Context(), key("ada"), "ada@example.com", "Ada", true)
	if err != nil || again.ID != user.ID || again.JobID != user.JobID || !again.Created.Equal(user.Created) {
		t.Errorf("the user is %+v (%v), want %+v", again, err, user)
	}
	if j, err := in.Request(t.Context(), key("task"), event.TaskRequestedData{DurationMS: 1}); err != nil || j.ID != task.ID {
		t.Errorf("the job is %+v (%v), want %s", j, err, task.ID)
	}
	if _, err := in.Request(t.Context(), accept.NewKey("task", []byte("another")), event.TaskRequestedData{}); !errors.Is(err, accept.ErrKeyReused) {
		t.Errorf("another request: %v, want ErrKeyReused", err)
	}
}

func TestAKeyIsNoYoungerThanItsMessageAndNotOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	now := time.Now()
	for id, c := range map[string]struct {
		at   time.Time
		kept bool
	}{
		"ahead": {now.AddDate(100, 0, 0), true}, "now": {now, true}, "over": {now.Add(-commit.KeyLife), false}, "no-time": {time.Time{}, false},
		"ages-ago": {now.AddDate(-900, 0, 0), false},
	} {
		env := r.userCreated(id, id+"@example.com", "mailer")
		env.IdempotencyHash, env.BodyHash = commit.Sum{id[0], id[1]}.String(), commit.Sum{}.String()
		env.Time = c.at
		r.publishEvent("user.created", env)
		j := r.until(id, func(*job.Job) error { return nil })
		k, ok, err := r.store.Keyed(j.Key)
		if err != nil || ok != c.kept || ok && (k.Job != id || k.At.After(time.Now().Add(time.Hour))) {
			t.Errorf("%s: kept %+v (%v, %v), want it kept: %v, with a time that has come", id, k, ok, err, c.kept)
		}
	}
}
