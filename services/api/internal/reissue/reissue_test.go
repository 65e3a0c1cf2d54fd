package reissue_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/reissue"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// rig is a real store with one job in it, "j".
type rig struct {
	t      *testing.T
	store  *bolt.Store
	writer *commit.Committer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "api.db"))
	if err != nil {
		t.Fatal(err)
	}
	last, err := store.LastKey()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, store: store, writer: commit.New(store, last)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.writer.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = store.Close()
	})
	r.do(func(v *commit.View) error {
		env, err := event.New("j", time.Now(), event.UserCreatedData{UserID: "u", Email: "a@example.com", Username: "a"}, "mailer", "notifier")
		if err != nil {
			return err
		}
		key := v.NextKey()
		v.Accept(commit.Accept{Key: key, Stream: stream.Users, Subject: "user.created.notify", Job: "j", Data: []byte("{}")},
			job.New(env, stream.Users, key, []string{"mailer", "notifier"}))
		return nil
	})
	return r
}

func (r *rig) do(f func(*commit.View) error) {
	r.t.Helper()
	if err := r.writer.Do(f); err != nil {
		r.t.Fatal(err)
	}
}

// reissues says whether the task is reissued, in a transaction of its own.
func (r *rig) reissues(service string, generation int) (done bool) {
	r.t.Helper()
	r.do(func(v *commit.View) (err error) {
		done, err = reissue.Task(v, "j", service, generation)
		return err
	})
	return done
}

func (r *rig) job() *job.Job {
	r.t.Helper()
	j, err := r.store.Job("j")
	if err != nil {
		r.t.Fatal(err)
	}
	return j
}

func (r *rig) entries() []commit.Entry {
	r.t.Helper()
	found, err := r.store.Entries(stream.Users)
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

func (r *rig) relayed() {
	r.t.Helper()
	r.do(func(v *commit.View) error {
		v.SetPosition(stream.Users, r.job().Key)
		return nil
	})
}

func TestOneEntryAsksAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if r.reissues("mailer", 0) {
		t.Fatal("reissued though its accept has not been relayed")
	}
	r.relayed()
	if !r.reissues("mailer", 0) {
		t.Fatal("not reissued")
	}
	if r.reissues("mailer", 0) {
		t.Error("reissued though its entry has not been relayed")
	}
	found := r.entries()
	if len(found) != 1 {
		t.Fatalf("there are %d entries, want one", len(found))
	}
	e, j := found[0], r.job()
	want := commit.Entry{
		Key: e.Key, Stream: stream.Users, Subject: "retry.mailer.user.created", MsgID: fmt.Sprintf("j.mailer.%d", e.Key), Job: "j",
	}
	if fmt.Sprint(e) != fmt.Sprint(want) {
		t.Errorf("the entry is %+v, want %+v", e, want)
	}
	if j.Task("mailer").Entry != e.Key || j.Task("notifier").Entry != j.Key {
		t.Errorf("entries are %d and %d, want %d and %d", j.Task("mailer").Entry, j.Task("notifier").Entry, e.Key, j.Key)
	}
	r.do(func(v *commit.View) error { v.LeaveEntry(e.Key); return nil })
	if !r.reissues("mailer", 0) || r.entries()[0].MsgID == e.MsgID {
		t.Error("not reissued under an id of its own once the first entry has left")
	}
}

func TestWhatHasEndedOrGoneOnIsPassedOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.relayed()
	r.do(func(v *commit.View) error {
		j, err := v.Edit("j")
		if err != nil {
			return err
		}
		j.Task("mailer").State = event.Dead
		j.Task("notifier").Generation = 2
		return nil
	})
	if r.reissues("mailer", 0) || r.reissues("notifier", 1) || r.reissues("imager", 0) {
		t.Error("reissued what has ended, has a higher generation, or was never asked for")
	}
	if !r.reissues("mailer", 1) || r.entries()[0].Header[stream.HeaderGeneration] != "1" {
		t.Error("not reissued at the next generation")
	}
	err := r.writer.Do(func(v *commit.View) error {
		_, err := reissue.Task(v, "gone", "mailer", 0)
		return err
	})
	if !errors.Is(err, job.ErrNotFound) {
		t.Errorf("a job that has left: %v", err)
	}
}

func TestOnlyATaskThatNobodyAskedForIsEnded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.do(func(v *commit.View) error {
		j, err := v.Edit("j")
		if err != nil {
			return err
		}
		j.Task("notifier").Entry = 0
		return nil
	})
	r.do(func(v *commit.View) error {
		for _, service := range []string{"mailer", "notifier"} {
			if _, err := reissue.End(v, "j", service, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	if j := r.job(); j.Task("mailer").State != event.Queued || j.Task("notifier").State != event.Succeeded {
		t.Errorf("the job is %+v", j)
	}
}
