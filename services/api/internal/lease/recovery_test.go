package lease_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/lease"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

func TestUnknownIsWhatNATSKnowsNothingOf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seq := rapid.Uint64Range(0, 12)
		between := func(what string) lease.Range {
			first := rapid.Uint64Range(1, 10).Draw(t, what+" first")
			return lease.Range{First: first, Last: rapid.Uint64Range(first-1, 11).Draw(t, what+" last")} // empty: last is first-1
		}
		there := map[string]lease.Range{stream.Users: between("stream"), "KV_JOBS_mailer": between("bucket")}
		var rows []backlog.Row
		for i := range rapid.IntRange(0, 20).Draw(t, "rows") {
			rows = append(rows, backlog.Row{
				Job: fmt.Sprint(i), Key: rapid.Uint64Range(1, 6).Draw(t, "key"),
				Stream:  rapid.SampledFrom([]string{stream.Users, stream.Images}).Draw(t, "stream"), // IMAGES is gone
				Service: rapid.SampledFrom([]string{"mailer", "notifier"}).Draw(t, "service"),
				State:   rapid.SampledFrom([]event.State{event.Queued, event.Running, event.Retrying, event.Succeeded, event.Dead}).Draw(t, "state"),
				Message: seq.Draw(t, "message"), Revision: seq.Draw(t, "revision"),
			})
		}
		old := rapid.Bool().Draw(t, "old")
		in := func(r lease.Range, n uint64) bool { return n >= r.First && n <= r.Last && n != 0 }
		unknown := lease.Unknown(rows, there, 4, old)
		for _, r := range rows {
			ours := !old && r.Message == 0 || old && r.Key > 4
			known := r.State.Ended() || ours ||
				r.Stream == stream.Users && in(there[stream.Users], r.Message) || r.Service == "mailer" && in(there["KV_JOBS_mailer"], r.Revision)
			if slices.Contains(unknown, r) == known {
				t.Fatalf("%+v with %v left: known %t", r, there, known)
			}
		}
	})
}

// put accepts a job and sets what is known of its tasks.
func (a *api) put(id string, tasks ...job.Task) {
	a.t.Helper()
	services := make([]string, len(tasks))
	for i := range tasks {
		services[i] = tasks[i].Service
	}
	env, err := event.New(id, time.Now(), event.UserCreatedData{UserID: id, Email: "a@example.com", Username: "a"}, services...)
	if err != nil {
		a.t.Fatal(err)
	}
	err = a.writer.Do(func(v *commit.View) error {
		j := job.New(env, stream.Users, v.NextKey(), services)
		for i := range tasks {
			j.Tasks[i].State, j.Tasks[i].Message, j.Tasks[i].Revision = tasks[i].State, tasks[i].Message, tasks[i].Revision
		}
		v.Accept(commit.Accept{Key: j.Key, Stream: stream.Users, Subject: "user.created", Job: id, Data: []byte("{}")}, j)
		return nil
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

func mailing(s event.State, message, revision uint64) job.Task {
	return job.Task{Service: "mailer", State: s, Message: message, Revision: revision}
}

// recovering has an old copy recover as the service does, once caught is closed.
func recovering(caught <-chan struct{}) func(*api, *lease.Options) {
	return func(a *api, o *lease.Options) {
		b, err := backlog.Load(a.store, time.Now)
		if err != nil {
			a.t.Fatal(err)
		}
		a.committed = b.Committed
		wait := func(ctx context.Context) error {
			select {
			case <-caught:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		r := &lease.Recovery{
			JetStream: a.js, Writer: a.writer, CatchUp: []func(context.Context) error{wait}, Backlog: b, LastKey: a.lastKey, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		}
		o.Recover = r.Run
	}
}

func TestWhatABackupDoesNotKnowTheEndOfIsDead(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	a := begin(t, server, newPath(t))
	a.untilLeading()
	a.ensure()
	for range 3 { // the stream holds 2 and 3
		if _, err := a.js.Publish(t.Context(), "user.created", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	s, err := a.js.Stream(t.Context(), stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	a.put("ended", mailing(event.Succeeded, 0, 0))
	a.put("unrelayed", mailing(event.Queued, 0, 0))
	a.put("trimmed", mailing(event.Running, 1, 900))
	a.put("waiting", mailing(event.Queued, 2, 0))
	a.put("half", mailing(event.Queued, 0, 0), job.Task{Service: "notifier", State: event.Succeeded, Revision: 1})
	a.stop()
	backup := copied(t, a.path)
	a = begin(t, server, a.path)
	a.untilLeading()
	a = restart(t, server, a)

	caught := make(chan struct{})
	b := begin(t, server, backup, recovering(caught))
	b.untilRefusing(old)
	b.put("new", mailing(event.Queued, 0, 0)) // as if it had been accepted before NATS was there
	a.stop()
	if b.Leading() || b.MayRelay() {
		t.Error("it goes on before it has caught up")
	}
	close(caught)
	b.untilLeading()

	for id, want := range map[string]event.State{
		"ended": event.Succeeded, "unrelayed": event.Dead, "trimmed": event.Dead, "waiting": event.Queued, "half": event.Dead, "new": event.Queued,
	} {
		j, err := b.store.Job(id)
		if err != nil {
			t.Fatal(err)
		}
		task := j.Task("mailer")
		if task.State != want {
			t.Errorf("%s is %s, want %s", id, task.State, want)
		}
		if want == event.Dead && (task.Error != lease.Restored || task.Ended == nil || len(task.Steps) != 1) {
			t.Errorf("%s is dead with %+v", id, task)
		}
	}
	checkLetters(t, b)
}

func restart(t testing.TB, server *natstest.Server, a *api) *api {
	t.Helper()
	a.stop()
	a = begin(t, server, a.path)
	a.untilLeading()
	return a
}

func checkLetters(t *testing.T, a *api) {
	t.Helper()
	letters, err := a.store.Entries(stream.Dead)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range letters {
		ids = append(ids, letters[i].Job)
		if letters[i].Header[stream.HeaderError] != lease.Restored || !strings.HasPrefix(letters[i].Subject, "dead.mailer.") {
			t.Errorf("a dead letter is %+v", letters[i])
		}
	}
	slices.Sort(ids)
	if want := []string{"half", "trimmed", "unrelayed"}; !slices.Equal(ids, want) {
		t.Errorf("dead letters for %v, want %v", ids, want)
	}
}

// What was heard of a task since the table was made counts.
func TestBuryLeavesWhatHasMoved(t *testing.T) {
	t.Parallel()
	a := begin(t, natstest.Start(t), newPath(t))
	a.put("moved", mailing(event.Running, 3, 7))
	a.put("same", mailing(event.Running, 3, 7))
	rows := []backlog.Row{
		{Job: "moved", Service: "mailer", State: event.Queued}, {Job: "same", Service: "mailer", State: event.Running, Message: 3, Revision: 7},
		{Job: "same", Service: "imager"}, {Job: "nobody", Service: "mailer"},
	}
	n := 0
	err := a.writer.Do(func(v *commit.View) (err error) {
		n, err = lease.Bury(v, rows, time.Now())
		return err
	})
	if err != nil || n != 1 {
		t.Fatalf("%d buried, %v; want one", n, err)
	}
	for id, want := range map[string]event.State{"moved": event.Running, "same": event.Dead} {
		if j, err := a.store.Job(id); err != nil || j.State() != want {
			t.Errorf("%s is %s, want %s (%v)", id, j.State(), want, err)
		}
	}
}
