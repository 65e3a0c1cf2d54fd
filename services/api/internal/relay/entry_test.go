package relay_test

import (
	"context"
	"slices"
	"testing"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/reissue"
	"handoff/shared/event"
	"handoff/shared/stream"

	"handoff/shared/natstest"
)

// two accepts a job with two tasks and waits until it is relayed.
func (r *rig) two(id string) {
	r.t.Helper()
	err := r.writer.Do(func(v *commit.View) error {
		key := v.NextKey()
		j := &job.Job{ID: id, Type: event.UserCreated, Key: key, Stream: stream.Users, Tasks: []job.Task{
			{Service: "mailer", State: event.Queued, Entry: key}, {Service: "notifier", State: event.Queued, Entry: key},
		}}
		v.Accept(commit.Accept{Key: key, Stream: stream.Users, Subject: "user.created.notify", Job: id, Data: []byte("event of " + id)}, j)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.relayed(stream.Users, id)
}

func (r *rig) job(id string) *job.Job {
	r.t.Helper()
	j, err := r.store.Job(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return j
}

func (r *rig) do(f func(v *commit.View) error) {
	r.t.Helper()
	if err := r.writer.Do(f); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) noEntries(name string) {
	r.t.Helper()
	r.until("no entry waits", func() bool {
		left, err := r.store.Entries(name)
		return err == nil && len(left) == 0
	})
}

func TestAnEntryAsksOneTaskAgainWithTheEventOfTheLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.start()
	r.two("j")
	r.do(func(v *commit.View) error {
		_, err := reissue.Task(v, "j", "notifier", 0)
		return err
	})
	r.noEntries(stream.Users)
	s, err := r.js.Stream(context.Background(), stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(context.Background(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "retry.notifier.user.created" || string(m.Data) != "event of j" || m.Header.Get("Content-Type") != event.ContentType {
		t.Errorf("published %s %v %q", m.Subject, m.Header, m.Data)
	}
	if j := r.job("j"); j.Task("mailer").Message != 1 || j.Task("notifier").Message != 2 {
		t.Errorf("messages are %d and %d, want 1 and 2", j.Task("mailer").Message, j.Task("notifier").Message)
	}
}

func TestAnEntryThatNobodyNeedsIsNotPublished(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.start()
	again := func(v *commit.View, id string) error {
		done, err := reissue.Task(v, id, "mailer", 0)
		if !done {
			t.Errorf("%s is not reissued", id)
		}
		return err
	}
	change := map[string]func(*commit.View, *job.Job) error{
		"ended":  func(_ *commit.View, j *job.Job) error { j.Task("mailer").State = event.Cancelled; return nil },
		"higher": func(_ *commit.View, j *job.Job) error { j.Task("mailer").Generation = 1; return nil },
		"newer":  func(v *commit.View, j *job.Job) error { j.Task("mailer").Entry = v.NextKey(); return nil },
		"left":   func(v *commit.View, j *job.Job) error { v.Prune(j); return nil },
	}
	for id := range change {
		r.two(id)
	}
	r.two("needed")
	before := len(r.in(stream.Users))
	r.gate.set(false)
	r.do(func(v *commit.View) error {
		for id, f := range change {
			if err := again(v, id); err != nil {
				return err
			}
			j, err := v.Edit(id)
			if err != nil {
				return err
			}
			if err := f(v, j); err != nil {
				return err
			}
		}
		v.AddEntry(commit.Entry{Stream: stream.Dead, Subject: "dead.mailer.user.created", MsgID: "d", Job: "ended", Data: []byte("x")})
		return again(v, "needed")
	})
	r.gate.set(true)
	r.noEntries(stream.Users)
	r.noEntries(stream.Dead)
	if got := r.in(stream.Users)[before:]; len(got) != 1 || got[0] == "" || got[0][:7] != "needed." {
		t.Errorf("published %v, want only what is needed", got)
	}
	if got := r.in(stream.Dead); !slices.Equal(got, []string{"d"}) {
		t.Errorf("DEAD holds %v: a dead letter is of a task that has ended", got)
	}
}

// markAt sets what is known of USERS, as it is after others have read it.
func (r *rig) markAt(highest uint64) {
	r.t.Helper()
	r.do(func(v *commit.View) error {
		v.SetMark(stream.Users, commit.Mark{Highest: highest})
		return nil
	})
}

func TestANewMessageBelowTheMarkProvesALoss(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.start()
	ids := r.accept(stream.Users, 300, 10) // many at once: none is below the mark as it was when it was sent
	r.relayed(stream.Users, ids[299])
	if n := r.gate.losses.Load(); n != 0 {
		t.Fatalf("%d losses, want none", n)
	}
	if m, err := r.store.Mark(stream.Users); err != nil || m.Highest != 300 {
		t.Fatalf("the mark is %+v (%v), want 300", m, err)
	}
	r.gate.set(false)
	ctx := context.Background()
	s, err := r.js.Stream(ctx, stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	if err := r.js.DeleteStream(ctx, stream.Users); err != nil {
		t.Fatal(err)
	}
	if _, err := r.js.CreateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	r.gate.set(true)
	r.accept(stream.Users, 1, 10)
	r.until("the loss is told", func() bool { return r.gate.losses.Load() > 0 })
	if m, err := r.store.Mark(stream.Users); err != nil || m.Highest != 300 {
		t.Errorf("the mark is %+v (%v): it must stay until the loss has been looked at", m, err)
	}
}

func TestADuplicateProvesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.start()
	first := r.accept(stream.Users, 1, 10)[0]
	r.relayed(stream.Users, first)
	r.markAt(1)
	r.halt()
	r.reads = &lagging{Store: r.store, position: r.key(first) - 1}
	r.start()
	r.until("it is published again", func() bool { n, _ := r.relay.Waiting(stream.Users); return n == 0 })
	if n := r.gate.losses.Load(); n != 0 {
		t.Errorf("%d losses, want none", n)
	}
}

// What had been answered before the gate closed may be gone when it opens.
func TestBehindANewGateTheTailIsPublishedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.resize(8 << 10)
	r.start()
	r.accept(stream.Users, 20, 2000) // four fit, and the head of the window stays undone
	r.until("the lane waits", func() bool { return r.relay.HeldUpBy(stream.Users) != "" })
	r.accept(stream.Users, 1, 10)
	r.gate.set(false)
	r.relay.Standstill(stream.Users)
	ctx := context.Background()
	s, err := r.js.Stream(ctx, stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = 16 << 20
	if err := r.js.DeleteStream(ctx, stream.Users); err != nil {
		t.Fatal(err)
	}
	if _, err := r.js.CreateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	r.markAt(0)
	r.gate.set(true)
	more := r.accept(stream.Users, 5, 10)
	r.relayed(stream.Users, more[4])
	if got, want := len(r.in(stream.Users)), 26-4; got < want {
		t.Errorf("the stream holds %d messages, want %d: all but those that the position had passed", got, want)
	}
}

// After a crash an accept above the stored position is published again, but not where all that it asks for has ended and one task of it
// is asked for in a later generation: a message of the older one would only come behind the entry, and take its place.
func TestAnEventIsNotPublishedBehindARedrive(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.start()
	r.gate.set(false)
	r.do(func(v *commit.View) error {
		key := v.NextKey()
		j := &job.Job{ID: "j", Type: event.UserCreated, Key: key, Stream: stream.Users, Tasks: []job.Task{
			{Service: "mailer", State: event.Succeeded, Entry: key}, {Service: "notifier", State: event.Dead, Entry: key},
		}}
		v.Accept(commit.Accept{Key: key, Stream: stream.Users, Subject: "user.created.notify", Job: "j", Data: []byte("event of j")}, j)
		n, err := reissue.Redrive(v, "j", nil)
		if n != 1 {
			t.Errorf("%d are redriven", n)
		}
		return err
	})
	r.gate.set(true) // the relay begins anew at its position, as after a crash
	r.noEntries(stream.Users)
	r.do(func(v *commit.View) error {
		key := v.NextKey()
		j := &job.Job{ID: "next", Type: event.UserCreated, Key: key, Stream: stream.Users, Tasks: []job.Task{{Service: "mailer", State: event.Queued}}}
		v.Accept(commit.Accept{Key: key, Stream: stream.Users, Subject: "user.created", Job: "next", Data: []byte("x")}, j)
		return nil
	})
	r.relayed(stream.Users, "next")
	got := r.in(stream.Users)
	if len(got) != 2 || got[0][:len("j.notifier.")] != "j.notifier." || got[1] != "next" {
		t.Errorf("published %v, want the redrive and the next job's event", got)
	}
}
