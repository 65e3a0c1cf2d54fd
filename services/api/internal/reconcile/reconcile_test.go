package reconcile_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/reconcile"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

func start(t *testing.T, server *natstest.Server, size int64) (*reconcile.Reconciler, jetstream.JetStream) {
	t.Helper()
	nc := server.Connect()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	r := reconcile.New(nc, js, stream.Config{MaxStore: size, History: true}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return r, js
}

// await waits until the gate is open, or closed.
func await(t *testing.T, r *reconcile.Reconciler, open bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		is, changed := r.Passed(stream.Users)
		if is == open {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond): // a lost connection closes the gate before anybody has been told
		case <-deadline:
			t.Fatalf("the gate is open: %t, want %t (%v)", is, open, r.Err())
		}
	}
}

func TestGateOpensWhenEverythingIsThere(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	r, js := start(t, server, natstest.MaxStore)
	await(t, r, true)
	if err := r.Err(); err != nil {
		t.Errorf("the gate is open and yet: %v", err)
	}
	for _, d := range stream.Durables() {
		if _, err := js.Consumer(t.Context(), d.Stream, d.Service); err != nil {
			t.Errorf("consumer %s on %s: %v", d.Service, d.Stream, err)
		}
	}
}

func TestGateIsClosedWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	r, _ := start(t, server, natstest.MaxStore)
	await(t, r, true)
	server.Stop()
	await(t, r, false)
	server.Restart()
	await(t, r, true)
}

func TestWhatIsMissingIsPutBackWhenAsked(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	r, js := start(t, server, natstest.MaxStore)
	await(t, r, true)
	if err := js.DeleteStream(t.Context(), stream.Images); err != nil {
		t.Fatal(err)
	}
	r.Check()
	deadline := time.Now().Add(8 * time.Second) // less than it takes to look unasked
	for {
		_, err := js.Consumer(t.Context(), stream.Images, "imager")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the stream is not put back: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// What is deleted at a terminal breaks no connection, and shows in no mark.
func TestWhatIsMissingIsFoundUnasked(t *testing.T) {
	t.Parallel()
	r, js := start(t, natstest.Start(t), natstest.MaxStore)
	await(t, r, true)
	err := errors.Join(
		js.DeleteStream(t.Context(), stream.Images), js.DeleteConsumer(t.Context(), stream.Users, "notifier"),
		js.DeleteKeyValue(t.Context(), stream.Bucket("mailer")),
	)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(60 * time.Second); ; {
		_, noStream := js.Consumer(t.Context(), stream.Images, "imager")
		_, noConsumer := js.Consumer(t.Context(), stream.Users, "notifier")
		_, noBucket := js.KeyValue(t.Context(), stream.Bucket("mailer"))
		err := errors.Join(noStream, noConsumer, noBucket)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not put back: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestWhatIsInTheWayIsSaid(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	r, _ := start(t, server, 1<<50)
	deadline := time.Now().Add(20 * time.Second)
	for r.Err() == nil || !strings.Contains(r.Err().Error(), "NATS_MAX_STORE") {
		if time.Now().After(deadline) {
			t.Fatalf("it says %v, want it to name NATS_MAX_STORE", r.Err())
		}
		<-time.After(20 * time.Millisecond)
	}
	if open, _ := r.Passed(stream.Users); open {
		t.Error("the gate is open")
	}
}

type door struct{ open atomic.Bool }

func (d *door) Open() { d.open.Store(true) }

// writer runs functions on a view of an empty store.
type writer struct {
	err  error
	runs int
}

func (w *writer) Do(f func(*commit.View) error) error {
	w.runs++
	if w.err != nil {
		return w.err
	}
	return f(&commit.View{})
}

func TestDoorOpensAtTheFirstMeeting(t *testing.T) {
	t.Parallel()
	r, _ := start(t, natstest.Start(t), natstest.MaxStore)
	caught := make(chan struct{})
	w, d := &writer{}, &door{}
	m := reconcile.NewMeeting(false, caught, w, d, r)
	if m.Ready() == nil || d.open.Load() {
		t.Error("ready before the meeting")
	}
	done := make(chan error, 1)
	go func() { done <- m.Run(t.Context()) }()
	close(caught)
	if err := <-done; err != nil || !d.open.Load() || m.Ready() != nil || w.runs != 1 {
		t.Errorf("after the meeting: %v, open %t, ready %v, written %d times", err, d.open.Load(), m.Ready(), w.runs)
	}
}

func TestDoorIsOpenAtOnceForAStoreThatHasMetItsNATS(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	r, _ := start(t, server, natstest.MaxStore)
	server.Stop()
	w, d := &writer{}, &door{}
	m := reconcile.NewMeeting(true, nil, w, d, r)
	if err := m.Run(t.Context()); err != nil || !d.open.Load() || m.Ready() != nil || w.runs != 0 {
		t.Errorf("%v, open %t, ready %v, written %d times", err, d.open.Load(), m.Ready(), w.runs)
	}
}

func TestMeetingThatCannotBeNotedFails(t *testing.T) {
	t.Parallel()
	r, _ := start(t, natstest.Start(t), natstest.MaxStore)
	caught := make(chan struct{})
	close(caught)
	broken := errors.New("broken")
	d := &door{}
	m := reconcile.NewMeeting(false, caught, &writer{err: broken}, d, r)
	if err := m.Run(t.Context()); !errors.Is(err, broken) || d.open.Load() {
		t.Errorf("Run: %v, open %t", err, d.open.Load())
	}
}
