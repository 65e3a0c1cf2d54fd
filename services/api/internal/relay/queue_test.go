package relay

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
)

// written is a store in which accepts are before anybody has been told of them.
type written struct {
	Store
	rows []commit.Accept
}

func (s *written) Log(_ string, after uint64, _ int) (found []commit.Accept, err error) {
	for _, a := range s.rows {
		if a.Key > after {
			found = append(found, a)
		}
	}
	return found, nil
}

func (*written) Job(id string) (*job.Job, error) {
	return &job.Job{ID: id, Tasks: []job.Task{{Service: "mailer", State: "queued"}}}, nil
}

func TestAcceptIsTakenOnceWhenItIsReadBeforeItIsTold(t *testing.T) {
	t.Parallel()
	s := &written{rows: []commit.Accept{{Key: 1, Job: "a"}, {Key: 2, Job: "b"}}}
	l := &lane{limits: defaults(), store: s, behind: true, wake: make(chan struct{}, 1), room: room{left: 1 << 20}}
	if batch, err := l.next(10, 10); err != nil || len(batch) != 2 {
		t.Fatalf("took %d (%v), want 2", len(batch), err)
	}
	if batch, err := l.next(10, 10); err != nil || len(batch) != 0 {
		t.Fatalf("took %d more (%v)", len(batch), err)
	}
	for i := range s.rows {
		l.push(fromAccept(&s.rows[i]))
	}
	if batch, err := l.next(10, 10); err != nil || len(batch) != 0 {
		t.Errorf("took %d for a second time (%v)", len(batch), err)
	}
	s.rows = append(s.rows, commit.Accept{Key: 3, Job: "c"})
	l.push(fromAccept(&s.rows[2]))
	if batch, err := l.next(10, 10); err != nil || len(batch) != 1 || batch[0].job != "c" {
		t.Errorf("took %+v (%v), want c", batch, err)
	}
}

// Answers of several messages may come in any order; only what was sent after a higher one was known proves a loss.
func TestAnAnswerThatComesLateProvesNothing(t *testing.T) {
	t.Parallel()
	l := &lane{stream: "USERS"}
	a, b := &message{}, &message{}
	l.acked(b, &jetstream.PubAck{Sequence: 2})
	l.acked(a, &jetstream.PubAck{Sequence: 1})
	if l.lost || l.mark != 2 {
		t.Fatalf("lost %t, mark %d", l.lost, l.mark)
	}
	l.acked(&message{mark: l.mark}, &jetstream.PubAck{Sequence: 2, Duplicate: true})
	if l.lost {
		t.Fatal("a duplicate is taken for a loss")
	}
	l.acked(&message{mark: l.mark}, &jetstream.PubAck{Sequence: 2})
	if !l.lost || l.left != 1 {
		t.Errorf("lost %t, %d left; want a loss, and one left", l.lost, l.left)
	}
}
