package projection_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// redrive publishes what asks the notifier again, one generation up, as the relay does.
func (r *rig) redrive(env *event.Envelope, generation, key int) uint64 {
	r.t.Helper()
	data, err := env.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	return r.publish("retry.notifier.user.created", data, nats.Header{
		jetstream.MsgIDHeader: {fmt.Sprintf("%s.notifier.%d", env.ID, key)}, stream.HeaderGeneration: {strconv.Itoa(generation)},
	})
}

// A store that is made anew learns from the messages that a task is asked for again, whether the event is still there or not, and
// takes neither the record of the generation before for its end, nor the message.
func TestANewStoreKnowsARedrive(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	both := r.userCreated("both", "both@example.com", "mailer", "notifier")
	only := r.userCreated("only", "only@example.com", "mailer", "notifier")
	begun := r.userCreated("begun", "begun@example.com", "mailer", "notifier")
	event0 := r.publishEvent("user.created.notify", both)
	for _, env := range []*event.Envelope{both, only, begun} {
		r.record("mailer", env.ID, event.Record{State: event.Succeeded, Claim: 1, Attempt: 1})
		r.record("notifier", env.ID, event.Record{State: event.Dead, Claim: 1, Attempt: 1, Error: "refused"})
	}
	again := map[string]uint64{"both": r.redrive(both, 1, 70), "only": r.redrive(only, 1, 71), "begun": r.redrive(begun, 2, 72)}
	r.record("notifier", "begun", event.Record{State: event.Running, Generation: 2, Claim: 3, Attempt: 1})
	p, _ := r.start()
	r.caughtUp(p)
	for id, want := range map[string]event.State{"both": event.Queued, "only": event.Queued, "begun": event.Running} {
		r.until(id, state("mailer", event.Succeeded)) // from its record
		j := r.until(id, state("notifier", want))
		n := j.Task("notifier")
		if n.Message != again[id] || n.Generation == 0 || n.Error != "" || n.Entry == 0 {
			t.Errorf("%s: the notifier's task is %+v, want it asked for by message %d", id, n, again[id])
		}
	}
	if m := r.until("both", state("mailer", event.Succeeded)).Task("mailer"); m.Message != event0 || m.Generation != 0 {
		t.Errorf("the mailer's task is %+v: it was not asked again", m)
	}
}

// An older store takes a job for settled that has been redriven since. It has to be watched again.
func TestARedriveThatIsReadPutsTheJobBackOnTheWindow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	env := r.accept("job-1", "mailer", "notifier")
	err := r.writer.Do(func(v *commit.View) error {
		j, err := v.Edit("job-1")
		if err != nil {
			return err
		}
		for i := range j.Tasks {
			j.Tasks[i].State, j.Tasks[i].Message, j.Tasks[i].Revision = event.Dead, 5000, 6000
		}
		return nil
	})
	if err == nil {
		err = r.writer.Do(func(v *commit.View) error {
			j, err := v.Job("job-1")
			if err == nil {
				v.Settle(j.Key)
			}
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	r.start()
	seq := r.redrive(env, 1, 70)
	j := r.until("job-1", state("notifier", event.Queued))
	if n, m := j.Task("notifier"), j.Task("mailer"); n.Message != seq || n.Revision != 0 || m.Message != 0 || m.State != event.Dead {
		t.Errorf("the tasks are %+v, want nothing of them that is of another stream", j.Tasks)
	}
	if on, err := r.store.OnWindow(j.Key); err != nil || !on {
		t.Errorf("on the window: %t (%v)", on, err)
	}
	r.record("notifier", "job-1", event.Record{State: event.Dead, Claim: 1, Error: "late"}) // of the generation before
	r.record("notifier", "job-1", event.Record{State: event.Succeeded, Generation: 1, Claim: 2})
	r.until("job-1", func(j *job.Job) error {
		if n := j.Task("notifier"); n.Error == "late" {
			t.Fatalf("an older record made it %+v", n)
		} else if n.State != event.Succeeded {
			return errors.New("its end has not been read")
		}
		return nil
	})
}
