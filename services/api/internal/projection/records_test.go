package projection_test

import (
	"bytes"
	"errors"
	"strconv"
	"testing"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

func running(attempt int) event.Record {
	return event.Record{State: event.Running, Claim: attempt, Attempt: attempt, Holder: "h"}
}

func ended(state event.State, attempt int, errText string) event.Record {
	now := time.Now().UTC()
	return event.Record{State: state, Claim: attempt, Attempt: attempt, Holder: "h", Error: errText, Ended: &now}
}

func TestRecordsBecomeTheTasksState(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept("job-1", "mailer", "notifier")
	r.start()
	r.record("mailer", "job-1", running(1))
	j := r.until("job-1", state("mailer", event.Running))
	if j.State() != event.Running || j.Task("notifier").State != event.Queued {
		t.Errorf("the job is %+v", j)
	}
	done := ended(event.Succeeded, 1, "")
	done.Result = []byte(`{"ok":true}`)
	revision := r.record("mailer", "job-1", done)
	r.record("notifier", "job-1", ended(event.Succeeded, 1, ""))
	r.until("job-1", state("notifier", event.Succeeded))
	j = r.until("job-1", state("mailer", event.Succeeded))
	if m := j.Task("mailer"); string(m.Result) != `{"ok":true}` || m.Revision != revision || j.State() != event.Succeeded {
		t.Errorf("the mailer's task is %+v", m)
	}
	r.record("mailer", "job-1", running(2)) // late, or wrong: what has ended stays ended
	r.record("tasker", "job-1", running(1)) // not asked for
	r.accept("job-2", "mailer")
	r.record("mailer", "job-2", running(1))
	r.until("job-2", state("mailer", event.Running))
	if j, err := r.store.Job("job-1"); err != nil || j.State() != event.Succeeded || len(j.Tasks) != 2 {
		t.Errorf("the job is %+v, %v", j, err)
	}
}

func TestRecordBeforeItsJobIsJoined(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, stop := r.start()
	r.record("mailer", "early", ended(event.Succeeded, 3, ""))
	waitOrphan(r, "early")
	stop()
	r.start()
	r.publishEvent("user.created.notify", r.userCreated("early", "early@example.com"))
	j := r.until("early", state("mailer", event.Succeeded))
	if j.Task("mailer").Attempt != 3 || j.Task("notifier").State != event.Queued {
		t.Errorf("the job is %+v", j)
	}
	if left, err := r.store.OrphansOf("early"); err != nil || len(left) != 0 {
		t.Errorf("kept for a job that is there: %+v, %v", left, err)
	}
}

func waitOrphan(r *rig, id string) {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		found, err := r.store.OrphansOf(id)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(found) == 1 {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the record of %s is not kept", id)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestDeathIsCopiedOnceForEachGeneration(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	env := r.accept("job-1", "mailer")
	_, stop := r.start()
	r.record("mailer", "job-1", ended(event.Dead, 8, "554 no such user\nreally not"))
	r.until("job-1", state("mailer", event.Dead))
	stop()
	_, stop = r.start() // reads the record again
	r.accept("job-2", "mailer")
	r.record("mailer", "job-2", running(1))
	r.until("job-2", state("mailer", event.Running))
	letters := r.deadLetters()
	if len(letters) != 1 {
		t.Fatalf("there are %d dead letters, want 1: %+v", len(letters), letters)
	}
	data, _ := env.Encode()
	l := letters[0]
	if l.Subject != "dead.mailer.user.created" || l.MsgID != "job-1.mailer.0.dead" || l.Job != "job-1" || !bytes.Equal(l.Data, data) ||
		l.Header[stream.HeaderAttempts] != "8" || l.Header[stream.HeaderError] != "554 no such user really not" {
		t.Errorf("the dead letter is %+v", l)
	}
	stop()

	again := ended(event.Dead, 9, "still not")
	again.Generation = 1
	r.start()
	r.record("mailer", "job-1", again)
	r.until("job-1", func(j *job.Job) error {
		if j.Tasks[0].Generation != 1 {
			return errors.New("not yet at generation 1")
		}
		return nil
	})
	if letters := r.deadLetters(); len(letters) != 2 || letters[1].MsgID != "job-1.mailer.1.dead" {
		t.Errorf("dead letters are %+v", letters)
	}
}

func TestWhatIsNoRecordIsPassedOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept("job-1", "mailer")
	r.start()
	kv, err := r.js.KeyValue(t.Context(), stream.Bucket("mailer"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "job-1", "nonsense"); err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), "job-1"); err != nil {
		t.Fatal(err)
	}
	r.record("mailer", "job-1", running(1))
	r.until("job-1", state("mailer", event.Running))
	if orphans, err := r.store.OrphansOf(stream.OpenKey); err != nil || len(orphans) != 0 {
		t.Errorf("the open key was taken for a record: %+v, %v", orphans, err)
	}
}

func TestReadersGoOnAfterLossOfStreamAndBucketAndServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, _ := r.start()
	r.caughtUp(p)
	for range 5 {
		r.publishEvent("user.created", r.userCreated(newID(r), "x@example.com"))
	}
	lastID := newID(r)
	r.publishEvent("user.created", r.userCreated(lastID, "y@example.com"))
	r.until(lastID, func(*job.Job) error { return nil })
	r.record("mailer", lastID, running(1))
	r.until(lastID, state("mailer", event.Running))

	if err := r.js.DeleteStream(t.Context(), stream.Users); err != nil {
		t.Fatal(err)
	}
	if err := r.js.DeleteKeyValue(t.Context(), stream.Bucket("mailer")); err != nil {
		t.Fatal(err)
	}
	r.present(stream.Users)
	r.present(stream.BucketStream(stream.Bucket("mailer")))
	after := newID(r)
	r.publishEvent("user.created", r.userCreated(after, "z@example.com"))
	r.record("mailer", after, running(1))
	r.until(after, state("mailer", event.Running))

	r.server.Stop()
	r.server.Restart()
	r.present(stream.Users)
	last := newID(r)
	r.publishEvent("user.created", r.userCreated(last, "zz@example.com"))
	r.record("mailer", last, ended(event.Succeeded, 1, ""))
	r.until(last, state("mailer", event.Succeeded))
}

func newID(r *rig) string {
	r.ids++
	return "job-" + strconv.Itoa(r.ids)
}

// present waits until the reconciler has put a stream back.
func (r *rig) present(name string) {
	r.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		_, err := r.js.Stream(r.t.Context(), name)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("stream %s is not put back: %v", name, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// A service that has not heard of a cancel says something else; then its record is to be put right.
func TestRecordDoesNotUndoACancel(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept("job-1", "mailer")
	err := r.writer.Do(func(v *commit.View) error {
		j, err := v.Edit("job-1")
		if err != nil {
			return err
		}
		j.Tasks[0] = job.Cancel(j.Tasks[0], time.Now())
		j.Tasks[0].Untold = false // its record has said so, once
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.start()
	r.record("mailer", "job-1", ended(event.Succeeded, 1, ""))
	j := r.until("job-1", func(j *job.Job) error {
		if !j.Tasks[0].Untold {
			return errors.New("taken for told")
		}
		return nil
	})
	if j.State() != event.Cancelled {
		t.Errorf("the job is %+v", j)
	}
}
