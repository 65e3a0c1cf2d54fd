package reconcile_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

func TestAWorkStreamThatIsDeletedIsFilledAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.whole()
	stop := w.services("mailer") // the notifier is away, so each job has ended for one and waits for the other
	done := w.users(20)
	w.until("the mailer has done its part", func() bool {
		return w.all(done, "mailer", func(t *job.Task) bool { return t.State == event.Succeeded })
	})
	w.relayed(done, "notifier")
	w.remove(stream.Users)
	w.keeper.Check()
	more := w.users(20) // meanwhile
	w.services("notifier")
	w.ended(append(done, more...))
	w.once(append(done, more...), "mailer")
	w.once(append(done, more...), "notifier")
	stop()
	w.whole()
}

// The server would go on behind the highest sequence that it has copied from a stream of that name, and copy nothing.
func TestHistoryFollowsAStreamThatIsMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.whole()
	w.services("tasker")
	w.ended(w.tasks(20))
	w.until("HISTORY has copied them", func() bool { return w.copies() == 20 })
	w.remove(stream.Tasks)
	w.keeper.Check()
	w.until("it is there again", func() bool { _, err := w.js.Stream(t.Context(), stream.Tasks); return err == nil })
	w.whole()
	w.ended(w.tasks(3))
	w.until("HISTORY has the new events", func() bool { return w.copies() == 3 })
}

// copies is how many events of tasks HISTORY holds.
func (w *world) copies() int {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), stream.History)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := s.Info(w.t.Context(), jetstream.WithSubjectFilter("task.>"))
	if err != nil {
		w.t.Fatal(err)
	}
	return int(info.State.Subjects["task.requested"])
}

func TestABucketThatIsDeletedHasItsRecordsBackBeforeClaimsBegin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.whole()
	w.services("mailer")
	done := w.users(10) // keep their messages, since nobody trims
	w.until("the mailer has done its part", func() bool {
		return w.all(done, "mailer", func(t *job.Task) bool { return t.State == event.Succeeded })
	})
	w.setHold(true)
	running := w.users(5)
	w.until("five are running", func() bool {
		return w.all(running, "mailer", func(t *job.Task) bool { return t.State == event.Running })
	})
	w.remove(stream.BucketStream(stream.Bucket("mailer")))
	if err := w.js.DeleteConsumer(t.Context(), stream.Users, "mailer"); err != nil { // everything is delivered again
		t.Fatal(err)
	}
	w.keeper.Check()
	w.until("the bucket is open", func() bool {
		kv, err := w.js.KeyValue(t.Context(), stream.Bucket("mailer"))
		if err != nil {
			return false
		}
		if _, err = kv.Get(t.Context(), stream.OpenKey); err != nil {
			return false
		}
		for _, id := range append(done, running...) {
			if _, err := kv.Get(t.Context(), id); err != nil {
				t.Errorf("the bucket is open and has no record of %s: %v", id, err)
			}
		}
		return true
	})
	w.setHold(false)
	w.services("notifier")
	w.ended(append(done, running...))
	w.whole()
	w.once(append(done, running...), "mailer")
	w.once(append(done, running...), "notifier")
}

func TestAConsumerThatIsDeletedIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.whole()
	first := w.tasks(10)
	w.services("tasker")
	w.ended(first)
	if err := w.js.DeleteConsumer(t.Context(), stream.Tasks, "tasker"); err != nil {
		t.Fatal(err)
	}
	second := w.tasks(10)
	w.keeper.Check()
	w.ended(second)
	w.once(append(first, second...), "tasker")
}

func TestEverythingIsDeletedWhileTheServerIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.whole()
	w.services("mailer", "tasker")
	users, done := w.users(10), w.tasks(10)
	w.ended(done)
	w.until("the mailer has done its part", func() bool {
		return w.all(users, "mailer", func(t *job.Task) bool { return t.State == event.Succeeded })
	})
	w.mu.Lock()
	for _, id := range []string{"job-0021", "job-0022", "job-0023"} {
		w.fails[event.Key(id, "tasker")] = 2
	}
	w.mu.Unlock()
	retrying := w.tasks(3)
	w.until("three have failed", func() bool {
		return w.all(retrying, "tasker", func(t *job.Task) bool { return t.Attempt > 0 })
	})
	w.nats.Stop()
	away := append(w.tasks(5), w.users(5)...)
	w.nats.Wipe()
	w.nats.Restart()
	w.services("notifier")
	all := append(append(append(users, done...), retrying...), away...)
	w.ended(all)
	w.whole()
	w.once(append(users, away[5:]...), "mailer")
	w.once(append(users, away[5:]...), "notifier")
	w.once(append(append(done, retrying...), away[:5]...), "tasker")
	if n := len(all); n != 33 {
		t.Errorf("%d jobs", n)
	}
}

func TestAnAPIDBThatIsDeletedIsRebuilt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.whole()
	stop := w.services("mailer")
	users := w.users(10)
	w.until("the mailer has done its part", func() bool {
		return w.all(users, "mailer", func(t *job.Task) bool { return t.State == event.Succeeded })
	})
	stop()
	w.halt()
	// The event of one has been trimmed, and the notifier was asked again: its mail is done.
	s, err := w.js.Stream(t.Context(), stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.js.Publish(t.Context(), "retry.notifier.user.created", m.Data, jetstream.WithMsgID(users[0]+".notifier.7")); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	kv, err := w.js.KeyValue(t.Context(), stream.Bucket("mailer"))
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Purge(t.Context(), users[0]); err != nil {
		t.Fatal(err)
	}
	w.forgetFile()
	w.start()
	w.whole()
	w.services("mailer", "notifier")
	w.ended(users)
	w.once(users, "mailer")
	w.once(users, "notifier")
	if j, err := w.store.Job(users[0]); err != nil || j.Task("mailer").State != event.Succeeded {
		t.Errorf("what no message asks for is %+v (%v), want it ended", j, err)
	}
	if _, err := w.store.Job("none"); !errors.Is(err, job.ErrNotFound) {
		t.Error(err)
	}
}

// A task was done and its message acknowledged before the api had read of it, and then the record is lost: nothing asks for it any more,
// whether the api knew that it had begun or not. It is found in a moment, not only when it has rested for minutes.
func TestATaskWhoseRecordIsLostUnreadIsAskedForAgainSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.soon = time.Second
	w.start()
	w.whole()
	w.setHold(true)
	stop := w.services("tasker")
	begun := w.tasks(5)
	w.until("five are running", func() bool {
		return w.all(begun, "tasker", func(t *job.Task) bool { return t.State == event.Running })
	})
	unseen := w.tasks(20) // more than there are slots for
	w.relayed(unseen, "tasker")
	w.halt()
	w.setHold(false)
	w.until("all are done", func() bool {
		for _, d := range stream.Durables() {
			if d.Service != "tasker" {
				continue
			}
			c, err := w.js.Consumer(t.Context(), d.Stream, d.Name)
			if err != nil {
				t.Fatal(err)
			}
			if info := c.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
				return false
			}
		}
		return true
	})
	w.remove(stream.BucketStream(stream.Bucket("tasker")))
	w.start()
	w.ended(append(begun, unseen...))
	stop()
}
