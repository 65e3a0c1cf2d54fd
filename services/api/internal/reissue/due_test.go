package reissue_test

import (
	"fmt"
	"testing"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/reissue"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// waits has the job be due at a time.
func (r *rig) waits(due time.Time) {
	r.t.Helper()
	r.do(func(v *commit.View) error {
		j, err := v.Edit("j")
		if err == nil {
			j.Due, j.Waits = &due, true
		}
		return err
	})
	r.relayed()
}

func (r *rig) due(now time.Time) (done bool) {
	r.t.Helper()
	r.do(func(v *commit.View) (err error) {
		done, err = reissue.Due(v, "j", now)
		return err
	})
	return done
}

func TestDueAsksForTheWholeJobOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := time.Unix(1000, 0)
	r.waits(at)
	if r.due(at.Add(-time.Second)) {
		t.Error("begun before it was due")
	}
	if !r.due(at) || r.due(at) {
		t.Error("not begun once")
	}
	e, j := r.entries()[0], r.job()
	want := commit.Entry{Key: e.Key, Stream: stream.Users, Subject: "user.created.notify", MsgID: "j", Job: "j"}
	if fmt.Sprint(e) != fmt.Sprint(want) || len(r.entries()) != 1 {
		t.Errorf("the entries are %+v, want %+v", r.entries(), want)
	}
	if j.Waits || j.State() != event.Queued || j.Tasks[0].Entry != e.Key || j.Tasks[1].Entry != e.Key {
		t.Errorf("the job is %+v", j)
	}
}

func TestWhatIsNotDueIsPutBackToWait(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.waits(time.Unix(1000, 0))
	if !r.reissues("mailer", 0) || r.reissues("notifier", 0) {
		t.Error("not put back once, for all its tasks")
	}
	e, j := r.entries()[0], r.job()
	if e.Subject != "later.user.created" || e.MsgID != fmt.Sprintf("j.later.%d", e.Key) || j.State() != job.Scheduled || j.Tasks[1].Entry != e.Key {
		t.Errorf("the entry is %+v, the job %+v", e, j)
	}
}

func TestWhatWasCancelledIsNeverDue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.waits(time.Unix(1000, 0))
	r.do(func(v *commit.View) error {
		j, err := v.Edit("j")
		for i := range j.Tasks {
			j.Tasks[i] = job.Cancel(j.Tasks[i], time.Unix(999, 0))
		}
		return err
	})
	if r.due(time.Unix(2000, 0)) || len(r.entries()) != 0 {
		t.Error("begun though it was cancelled")
	}
}
