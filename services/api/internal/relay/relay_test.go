package relay_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/relay"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

func TestPublishesInTheOrderOfTheLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.start()
	users := r.accept(stream.Users, 1500, 50)
	images := r.accept(stream.Images, 700, 50)
	r.relayed(stream.Users, users[len(users)-1])
	r.relayed(stream.Images, images[len(images)-1])
	for name, want := range map[string][]string{stream.Users: users, stream.Images: images} {
		if got := r.in(name); !slices.Equal(got, want) {
			t.Errorf("%s holds %d messages, want the %d accepted ones in order", name, len(got), len(want))
		}
	}
	s, err := r.js.Stream(context.Background(), stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(context.Background(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "user.created" || m.Header.Get("Content-Type") != event.ContentType || string(m.Data) != strings.Repeat("x", 50) {
		t.Errorf("message 3 is %s %v %q", m.Subject, m.Header, m.Data)
	}
	j, err := r.store.Job(users[2])
	if err != nil || j.Tasks[0].Message != 3 {
		t.Errorf("job 3 is addressed by %d (%v), want message 3", j.Tasks[0].Message, err)
	}
	if n, size := r.relay.Waiting(stream.Users); n != 0 || size != 0 {
		t.Errorf("still waiting: %d, %d bytes", n, size)
	}
}

func TestEntriesPassAccepts(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.gate.set(false)
	r.start()
	ids := r.accept(stream.Users, 20, 10)
	err := r.writer.Do(func(v *commit.View) error {
		v.AddEntry(commit.Entry{
			Stream: stream.Users, Subject: "retry.mailer.user.created", MsgID: "e1", Header: map[string]string{stream.HeaderGeneration: "2"},
			Job: ids[0], Data: []byte("again"),
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.in(stream.Users)) != 0 {
		t.Fatal("published through a closed gate")
	}
	r.gate.set(true)
	r.relayed(stream.Users, ids[19])
	if got, want := r.in(stream.Users), append([]string{"e1"}, ids...); !slices.Equal(got, want) {
		t.Errorf("published %v, want the entry first", got)
	}
	s, _ := r.js.Stream(context.Background(), stream.Users)
	m, err := s.GetMsg(context.Background(), 1)
	if err != nil || m.Header.Get(stream.HeaderGeneration) != "2" || m.Subject != "retry.mailer.user.created" {
		t.Errorf("the entry is %+v (%v)", m, err)
	}
	r.until("the entry leaves", func() bool {
		left, err := r.store.Entries(stream.Users)
		return err == nil && len(left) == 0
	})
}

// A window full of what the stream refuses must not keep entries from it: they may be what makes room.
func TestEntriesPassAWindowThatStands(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.limits.Window, r.limits.MaxPause = 64, 50*time.Millisecond
	r.resize(8 << 10)
	r.start()
	ids := r.accept(stream.Users, 500, 2000) // four fit
	r.until("the stream is full", func() bool { return strings.Contains(r.log.String(), "Relay waits") })
	err := r.writer.Do(func(v *commit.View) error {
		v.AddEntry(commit.Entry{Stream: stream.Users, Subject: "retry.mailer.user.created", MsgID: "e1", Job: ids[0], Data: []byte("x")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.until("the entry is published", func() bool { return slices.Contains(r.in(stream.Users), "e1") })
}

func TestGateClosedPublishesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.start()
	first := r.accept(stream.Users, 10, 10)
	r.relayed(stream.Users, first[9])
	r.gate.set(false)
	later := r.accept(stream.Users, 10, 10)
	other := r.accept(stream.Images, 1, 10)
	if n, _ := r.relay.Waiting(stream.Users); n < 1 {
		t.Errorf("%d wait behind the gate", n)
	}
	r.gate.set(true)
	r.relayed(stream.Users, later[9])
	r.relayed(stream.Images, other[0])
	if got := r.in(stream.Users); !slices.Equal(got, append(first, later...)) {
		t.Errorf("published %v", got)
	}
}

// lagging is a store that answers with an old position, as if the process had died before the newest was written.
type lagging struct {
	*bolt.Store
	position uint64
}

func (l *lagging) Position(string) (uint64, error) { return l.position, nil }

// What NATS has said of the tail is lost with the process too.
func (l *lagging) Job(id string) (*job.Job, error) {
	j, err := l.Store.Job(id)
	if err == nil && j.Key > l.position {
		for i := range j.Tasks {
			j.Tasks[i].Message = 0
		}
	}
	return j, err
}

func TestAfterAKillTheTailIsPublishedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.start()
	ids := r.accept(stream.Users, 300, 20)
	r.relayed(stream.Users, ids[299])
	r.halt()

	r.reads = &lagging{Store: r.store, position: r.key(ids[99])}
	r.start()
	if n, _ := r.relay.Waiting(stream.Users); n != 200 {
		t.Errorf("%d wait, want the tail of 200", n)
	}
	more := r.accept(stream.Users, 50, 20)
	r.relayed(stream.Users, more[49])
	r.until("nothing waits", func() bool { n, _ := r.relay.Waiting(stream.Users); return n == 0 })
	if got := r.in(stream.Users); !slices.Equal(got, append(ids, more...)) {
		t.Errorf("the stream holds %d messages, want %d, each once", len(got), 350)
	}
}

func TestAcceptsOfAnEarlierProcessAreResumed(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.gate.set(false)
	r.start()
	ids := r.accept(stream.Users, 1200, 20)
	r.halt()
	if r.position(stream.Users) != 0 {
		t.Fatal("relayed through a closed gate")
	}
	// Some need nothing any more: read from the stream by the projection, or ended.
	r.start()
	err := r.writer.Do(func(v *commit.View) error {
		for i, id := range ids[:20] {
			j, err := v.Edit(id)
			if err != nil {
				return err
			}
			if i < 10 {
				j.Tasks[0].Message = 1
			} else {
				j.Tasks[0].State = event.Cancelled
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.gate.set(true)
	more := r.accept(stream.Users, 100, 20)
	r.relayed(stream.Users, more[99])
	if got := r.in(stream.Users); !slices.Equal(got, append(ids[20:], more...)) {
		t.Errorf("the stream holds %d messages, want %d in order", len(got), 1280)
	}
}

// flaky is a store one of whose reads fails.
type flaky struct {
	*bolt.Store
	reads atomic.Int64
}

func (f *flaky) Job(id string) (*job.Job, error) {
	if f.reads.Add(1) == 50 {
		return nil, errors.New("input/output error")
	}
	return f.Store.Job(id)
}

func TestAReadThatFailsLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.gate.set(false)
	r.start()
	ids := r.accept(stream.Users, 200, 20)
	r.halt()
	r.reads = &flaky{Store: r.store}
	r.start()
	r.gate.set(true)
	r.relayed(stream.Users, ids[199])
	if got := r.in(stream.Users); !slices.Equal(got, ids) {
		t.Errorf("the stream holds %d messages, want all %d", len(got), len(ids))
	}
}

func TestFullAtItsLimits(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*relay.Limits){
		"by number": func(l *relay.Limits) { l.Unrelayed = 10 },
		"by bytes":  func(l *relay.Limits) { l.UnrelayedBytes = 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, natstest.Run(t))
			set(&r.limits)
			r.gate.set(false)
			r.start()
			r.accept(stream.Users, 9, 100)
			if why := r.relay.Full(stream.Users); why != "" {
				t.Errorf("full before its limit: %s", why)
			}
			ids := r.accept(stream.Users, 1, 100)
			if r.relay.Full(stream.Users) == "" {
				t.Error("not full at its limit")
			}
			if why := r.relay.Full(stream.Images); why != "" {
				t.Errorf("another is full: %s", why)
			}
			r.halt() // what waits still counts after a restart
			r.start()
			if r.relay.Full(stream.Users) == "" {
				t.Error("not full any more after a restart")
			}
			r.gate.set(true)
			r.relayed(stream.Users, ids[0])
			r.until("there is room again", func() bool { return r.relay.Full(stream.Users) == "" })
		})
	}
}

// What was read from a stream needs no publishing, but the position has to pass it.
func TestWhatWasReadIsNotPublished(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.start()
	var read *job.Job
	err := r.writer.Do(func(v *commit.View) error {
		read = &job.Job{ID: "read", Type: event.UserCreated, Key: v.NextKey(), Stream: stream.Users, Tasks: []job.Task{{Service: "mailer", State: event.Queued, Message: 7}}}
		v.Accept(commit.Accept{Key: read.Key, Stream: stream.Users, Subject: "user.created", Job: read.ID, Data: []byte("x"), Read: true}, read)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.relayed(stream.Users, "read")
	ids := r.accept(stream.Users, 2, 10)
	r.relayed(stream.Users, ids[1])
	if got := r.in(stream.Users); !slices.Equal(got, ids) {
		t.Errorf("published %v, want %v", got, ids)
	}
	if j, err := r.store.Job("read"); err != nil || j.Tasks[0].Message != 7 {
		t.Errorf("what was read is %+v (%v)", j, err)
	}
}
