package projection_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
)

func TestEventOfAKnownUserAddsNoSecondOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	env := r.userCreated("again", "ada@example.com", "mailer")
	err := r.writer.Do(func(v *commit.View) error { // as a fact from RECORDS, under an address that no set in memory knows
		v.RaiseKey(1 << 61)
		v.AddUser(user.User{ID: "user-again", Key: 1 << 61, Email: "ada@example.com", JobID: "again"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.publishEvent("user.created", env)
	p, _ := r.start()
	r.caughtUp(p)
	j := r.until("again", func(*job.Job) error { return nil })
	size, err := r.store.Size()
	if err != nil || size.Users != 1 || j.Key <= 1<<61 {
		t.Errorf("%d users (%v), the job has key %d", size.Users, err, j.Key)
	}
}

func TestLogKeysGoOnAboveThoseOfALostFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept("known", "mailer")
	env := r.userCreated("known", "ada@example.com", "mailer")
	data, err := env.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const lost = 1 << 60
	r.publish("retry.mailer.user.created", data, nats.Header{"Nats-Msg-Id": {fmt.Sprintf("known.mailer.%d", uint64(lost))}})
	r.publish("user.created", data, nats.Header{"Nats-Msg-Id": {"by.hand.99999999999999999999"}})
	p, _ := r.start()
	r.caughtUp(p)
	var next uint64
	if err := r.writer.Do(func(v *commit.View) error { next = v.NextKey(); return nil }); err != nil {
		t.Fatal(err)
	}
	if next != lost+1 {
		t.Errorf("the next log key is %d, want %d", next, uint64(lost)+1)
	}
}
