package projection_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
	"handoff/shared/event"
	"handoff/shared/stream"
)

func TestMessageOfAKnownJobIsNoted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	env := r.accept("job-1", "mailer", "notifier")
	data, _ := env.Encode()
	r.start()
	seq := r.publish("user.created.notify", data, nats.Header{jetstream.MsgIDHeader: {"job-1"}})
	r.until("job-1", func(j *job.Job) error {
		if j.Tasks[0].Message != seq || j.Tasks[1].Message != seq {
			return fmt.Errorf("messages are %d and %d, want %d", j.Tasks[0].Message, j.Tasks[1].Message, seq)
		}
		return nil
	})
	again := r.publish("retry.notifier.user.created", data, nats.Header{
		jetstream.MsgIDHeader: {"job-1.notifier.77"}, stream.HeaderGeneration: {"1"},
	})
	j := r.until("job-1", func(j *job.Job) error {
		if j.Tasks[1].Message != again {
			return errors.New("the message that asks again is not noted")
		}
		return nil
	})
	if j.Tasks[0].Message != seq || j.Tasks[0].Generation != 0 {
		t.Errorf("the mailer's task is %+v: it was not asked again", j.Tasks[0])
	}
	if n := j.Tasks[1]; n.Generation != 1 || n.State != event.Queued {
		t.Errorf("the notifier's task is %+v, want it queued at generation 1", n)
	}
}

func TestEventByHandBecomesAJobAndAUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	seq := r.publishEvent("user.created.notify", r.userCreated("by-hand", "hand@example.com"))
	j := r.until("by-hand", func(*job.Job) error { return nil })
	if len(j.Tasks) != 2 || j.Task("mailer") == nil || j.Task("notifier") == nil || j.Task("mailer").Message != seq {
		t.Errorf("the job is %+v, want a queued task for whom the subject asks", j)
	}
	u, err := r.store.User("user-by-hand")
	if err != nil || u.Email != "hand@example.com" || u.JobID != "by-hand" {
		t.Errorf("the user is %+v, %v", u, err)
	}
	a, err := r.store.Accepted(stream.Users, j.Key)
	if err != nil || !a.Read || a.Job != "by-hand" {
		t.Errorf("the log has %+v, %v: want it there, and as read", a, err)
	}

	r.publishEvent("user.created", r.userCreated("second", "HAND@example.com"))
	r.until("second", func(*job.Job) error { return nil })
	if _, err := r.store.User("user-second"); !errors.Is(err, user.ErrNotFound) {
		t.Errorf("a second user with the same address: %v", err)
	}
}

func TestServiceThatNobodyKnowsIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.publishEvent("user.created", r.userCreated("odd", "odd@example.com", "mailer", "florist"))
	j := r.until("odd", state("florist", event.Dead))
	if j.Task("mailer").State != event.Queued {
		t.Errorf("the mailer's task is %+v", j.Task("mailer"))
	}
	if l := r.deadLetters(); len(l) != 1 || l[0].Subject != "dead.florist.user.created" {
		t.Errorf("dead letters are %+v", l)
	}
}

func TestWhatNobodyCanReadIsCopiedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, stop := r.start()
	r.publish("user.created", []byte("no event"), nil)
	r.publish("image.requested", []byte(`{"specversion":"1.0"}`), nats.Header{jetstream.MsgIDHeader: {"stranger"}})
	r.publishEvent("user.deleted", r.userCreated("nobody-asked", "n@example.com"))
	r.publishEvent("user.created", r.userCreated("good", "good@example.com"))
	r.until("good", func(*job.Job) error { return nil })
	stop()
	p, _ := r.start() // reads the last minute again
	r.caughtUp(p)

	letters := r.deadLetters()
	subjects := map[string]string{}
	ids := map[string]bool{}
	for _, l := range letters {
		subjects[l.Subject] = l.Header[stream.HeaderError]
		ids[l.MsgID] = true
	}
	if len(letters) != 3 || len(ids) != 3 {
		t.Fatalf("there are %d letters under %d ids, want 3: %+v", len(letters), len(ids), letters)
	}
	for subject, why := range map[string]string{
		"dead.api.user.created": "undecodable", "dead.api.image.requested": "undecodable", "dead.api.user.deleted": "asks none",
	} {
		if !strings.Contains(subjects[subject], why) {
			t.Errorf("the letter on %s says %q, want something about %q", subject, subjects[subject], why)
		}
	}
	if string(letters[0].Data) != "no event" && string(letters[1].Data) != "no event" {
		t.Error("the copy is not what was published")
	}
}

// The server knows a letter's id for a while. One under the same sequence of a stream that was made anew is another.
func TestALetterFromAStreamThatWasMadeAnewIsAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, _ := r.start()
	for i := range 2 {
		if seq := r.publish("user.created", []byte("no event"), nil); seq != 1 {
			t.Fatalf("its sequence is %d", seq)
		}
		r.far(p, stream.Users, 1)
		if i == 0 {
			if err := r.js.DeleteStream(t.Context(), stream.Users); err != nil {
				t.Fatal(err)
			}
			r.present(stream.Users)
		}
	}
	if l := r.deadLetters(); len(l) != 2 || l[0].MsgID == l[1].MsgID {
		t.Errorf("dead letters are %+v", l)
	}
}

func TestManyEventsAreReadOnceEach(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 2500
	for i := range n {
		id := "many-" + strconv.Itoa(i)
		data, _ := r.userCreated(id, id+"@example.com").Encode()
		if _, err := r.js.PublishAsync("user.created", data); err != nil {
			t.Fatal(err)
		}
	}
	<-r.js.PublishAsyncComplete()
	p, stop := r.start()
	r.caughtUp(p)
	stop()
	q, _ := r.start()
	r.caughtUp(q)
	size, err := r.store.Size()
	if err != nil || size.Jobs != n || size.Users != n {
		t.Errorf("the store has %+v (%v), want %d jobs and users", size, err, n)
	}
}

// A store that begins anew finds what asks one service again, after the event itself has left.
func TestOnlyWhomAMessageAsksIsAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, _ := r.start()
	data, err := r.userCreated("again", "again@example.com", "mailer", "notifier").Encode()
	if err != nil {
		t.Fatal(err)
	}
	seq := r.publish("retry.notifier.user.created", data, nats.Header{jetstream.MsgIDHeader: {"again.notifier.7"}})
	j := r.until("again", func(*job.Job) error { return nil })
	if m, n := j.Task("mailer"), j.Task("notifier"); !m.Unasked() || n.Unasked() || n.Message != seq {
		t.Errorf("the tasks are %+v, want only the notifier's asked for", j.Tasks)
	}
	seq = r.publish("retry.mailer.user.created", data, nats.Header{jetstream.MsgIDHeader: {"again.mailer.8"}})
	r.until("again", func(j *job.Job) error {
		if m := j.Task("mailer"); m.Message != seq || m.Entry != j.Key {
			return fmt.Errorf("the mailer's task is %+v, want it asked for by %d", m, seq)
		}
		return nil
	})
	mark, err := r.store.Mark(stream.Users)
	if err != nil || mark.Highest != seq || mark.Created.IsZero() {
		t.Errorf("the mark is %+v (%v), want it at %d", mark, err, seq)
	}
	r.until("again", func(*job.Job) error {
		if made, upTo, _ := p.Read(stream.Users); !made.Equal(mark.Created) || upTo != seq {
			return fmt.Errorf("read to %d of the stream made at %v, want %d", upTo, made, seq)
		}
		return nil
	})
}

// What waits until it is due is known from its message alone; what asks for it then ends the wait, and an old message does not bring it
// back.
func TestALaterMessageWaitsUntilAnotherAsks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	env := r.userCreated("j", "a@example.com", "mailer")
	due := time.Now().Add(time.Hour).UTC()
	env.Due = &due
	first := r.publishEvent("later.user.created", env)
	j := r.until("j", func(*job.Job) error { return nil })
	if j.State() != job.Scheduled || !j.Due.Equal(due) || j.Tasks[0].Message != first || j.Size == 0 {
		t.Errorf("the job is %+v", j)
	}
	second := r.publishEvent("later.user.created", env)
	r.until("j", func(j *job.Job) error {
		if j.Tasks[0].Message != second {
			return errors.New("not put back")
		}
		return nil
	})
	asked := r.publishEvent("user.created", env)
	r.publishEvent("later.user.created", env)
	r.publishEvent("user.created", r.userCreated("last", "b@example.com", "mailer"))
	r.until("last", func(*job.Job) error { return nil })
	if j, err := r.store.Job("j"); err != nil || j.Waits || j.State() != event.Queued || j.Tasks[0].Message != asked {
		t.Errorf("the job is %+v, %v", j, err)
	}
}
