package reconcile_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/job"
	"handoff/services/api/internal/lease"
	"handoff/shared/stream"
)

// stands has the api stand so, and waits until the gates before USERS are as they should be then.
func (w *world) stands(s lease.Standing, publishes, reads bool) {
	w.t.Helper()
	w.holder.set(s)
	w.keeper.Check()
	w.until("the gates follow: "+s.String(), func() bool {
		p, _ := w.keeper.Passed(stream.Users)
		r, _ := w.keeper.Reads(stream.Users)
		return p == publishes && r == reads
	})
}

// Who does not hold the lease makes nothing, and the gates open only before what it may do.
func TestGatesFollowTheStanding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.holder.set(lease.Outside)
	w.start()
	w.stands(lease.Outside, false, false)
	w.stands(lease.Reading, false, true)
	w.stands(lease.Beside, true, true)
	if open, _ := w.keeper.Passed(stream.Records); open {
		t.Error("RECORDS has two writers")
	}
	if _, err := w.js.Stream(t.Context(), stream.Users); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("a stream was made: %v", err)
	}
	w.stands(lease.Leading, true, true)
	w.until("RECORDS may be written", func() bool { open, _ := w.keeper.Passed(stream.Records); return open })
	w.whole()
	w.stands(lease.Beside, true, true)
	w.until("RECORDS is left to another", func() bool { open, _ := w.keeper.Passed(stream.Records); return !open })
	w.stands(lease.Outside, false, false)
}

// Who is replaced still publishes what it has accepted.
func TestWhoIsReplacedStillRelays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.whole()
	w.stands(lease.Beside, true, true)
	w.relayed(w.users(5), "mailer")
}

// With a file that others were ahead of, a lost bucket is put back and everything is read, but nothing published before it leads.
func TestCatchingUpReadsEverythingAndPublishesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.whole()
	stop := w.services("mailer", "notifier")
	done := w.users(5)
	w.ended(done)
	stop()
	w.stands(lease.CatchingUp, true, true) // nobody waits for anything yet
	w.remove(stream.BucketStream(stream.Bucket("mailer")))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.keeper.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	kv, err := w.js.KeyValue(t.Context(), stream.Bucket("mailer"))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range done {
		if _, err := kv.Get(t.Context(), id); err != nil {
			t.Errorf("the record of %s is not back: %v", id, err)
		}
	}
	waiting := w.users(1)
	w.stands(lease.CatchingUp, false, true)
	if !w.all(waiting, "mailer", func(t *job.Task) bool { return t.Message == 0 }) {
		t.Error("something was published")
	}
	w.stands(lease.Leading, true, true)
	w.services("mailer", "notifier")
	w.ended(waiting)
	w.once(done, "mailer")
}

// A catching up that another connect or another api cuts short is done again.
func TestCatchingUpIsDoneAgainWhenTheLeaseWasLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.whole()
	w.holder.set(lease.Beside)
	caught := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() { caught <- w.keeper.CatchUp(ctx) }()
	w.stands(lease.Beside, true, true)
	w.nats.Restart()
	w.holder.set(lease.CatchingUp)
	w.keeper.Check()
	if err := <-caught; err != nil {
		t.Fatal(err)
	}
}
