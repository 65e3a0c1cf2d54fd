package reissue_test

import (
	"errors"
	"testing"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/reissue"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// redrives says how many tasks are redriven, in a transaction.
func (r *rig) redrives(pick func(*job.Job, *job.Task) bool) (n int) {
	r.t.Helper()
	r.do(func(v *commit.View) (err error) {
		n, err = reissue.Redrive(v, "j", pick)
		return err
	})
	return n
}

// stand has the job's tasks stand as given.
func (r *rig) stand(mailer, notifier event.State) {
	r.t.Helper()
	r.do(func(v *commit.View) error {
		j, err := v.Edit("j")
		if err != nil {
			return err
		}
		for i, s := range []event.State{mailer, notifier} {
			t := &j.Tasks[i]
			t.State, t.Attempt, t.Claim, t.Error, t.Message, t.Steps = s, 3, 4, "no", 9, []event.Step{{Attempt: 3, State: s}}
		}
		return nil
	})
}

func TestRedriveAsksForWhatFailedInTheNextGeneration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mailer, notifier event.State
		pick             func(*job.Job, *job.Task) bool
		want             []string // services
	}{
		"one is dead":                  {event.Succeeded, event.Dead, nil, []string{"notifier"}},
		"one is dead, the other runs":  {event.Running, event.Dead, nil, []string{"notifier"}},
		"one is cancelled":             {event.Cancelled, event.Succeeded, nil, []string{"mailer"}},
		"both":                         {event.Dead, event.Cancelled, nil, []string{"mailer", "notifier"}},
		"both, and one is picked":      {event.Dead, event.Dead, func(_ *job.Job, k *job.Task) bool { return k.Service == "mailer" }, []string{"mailer"}},
		"neither":                      {event.Succeeded, event.Retrying, nil, nil},
		"neither, and all are picked":  {event.Succeeded, event.Queued, func(*job.Job, *job.Task) bool { return true }, nil},
		"one, and none that is picked": {event.Dead, event.Queued, func(*job.Job, *job.Task) bool { return false }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.relayed()
			r.stand(c.mailer, c.notifier)
			before := r.job()
			if n := r.redrives(c.pick); n != len(c.want) {
				t.Fatalf("%d are redriven, want %v", n, c.want)
			}
			entries, j := r.entries(), r.job()
			if len(entries) != len(c.want) {
				t.Fatalf("there are %d entries, want %v", len(entries), c.want)
			}
			for i, service := range c.want {
				e, k := entries[i], j.Task(service)
				if e.Subject != stream.RetrySubject(service, event.UserCreated) || e.Header[stream.HeaderGeneration] != "1" || e.Key != k.Entry {
					t.Errorf("the entry is %+v", e)
				}
				if k.State != event.Queued || k.Generation != 1 || k.Attempt != 0 || k.Claim != 0 || k.Error != "" || len(k.Steps) != 1 {
					t.Errorf("the task is %+v, want it to begin anew, with its steps", k)
				}
			}
			for i := range j.Tasks {
				if k := &j.Tasks[i]; k.Generation == 0 && (k.State != before.Tasks[i].State || k.Entry != before.Tasks[i].Entry || k.Attempt != 3) {
					t.Errorf("a task that was not asked for again is %+v, was %+v", k, before.Tasks[i])
				}
			}
			if n := r.redrives(c.pick); n != 0 {
				t.Errorf("a second click redrives %d", n)
			}
			for _, e := range entries { // as it stands, nothing else asks for it
				if r.reissues(e.Subject[len("retry."):len(e.Subject)-len(".user.created")], 1) {
					t.Error("reissued while its entry waits")
				}
			}
		})
	}
}

func TestRedriveLeavesAloneWhatNobodyDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stand(event.Dead, event.Succeeded)
	r.do(func(v *commit.View) error {
		j, err := v.Edit("j")
		if err == nil {
			j.Tasks[0].Service = "florist"
		}
		return err
	})
	if n := r.redrives(nil); n != 0 || r.job().State() != event.Dead {
		t.Errorf("%d are redriven: it would never end", n)
	}
	err := r.writer.Do(func(v *commit.View) error {
		_, err := reissue.Redrive(v, "gone", nil)
		return err
	})
	if !errors.Is(err, job.ErrNotFound) {
		t.Errorf("a job that has left: %v", err)
	}
}
