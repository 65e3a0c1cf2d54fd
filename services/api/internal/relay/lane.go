package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/reissue"
)

const minPause = 50 * time.Millisecond

// message is one accept or entry on its way.
type message struct {
	key     uint64
	entry   bool
	subject string
	id      string
	job     string
	header  map[string]string
	data    []byte
	done    bool // nothing is left to do for it
	ack     jetstream.PubAckFuture
	mark    uint64 // the stream's highest sequence known when it was sent
	seq     uint64
}

func fromAccept(a *commit.Accept) message {
	m := message{key: a.Key, subject: a.Subject, id: a.Job, job: a.Job, data: a.Data, done: a.Read}
	if m.later() { // the job's own id is for the message that asks for it when it is due
		m.id = reissue.LaterID(a.Job, a.Key)
	}
	return m
}

func fromEntry(e *commit.Entry) message {
	return message{key: e.Key, entry: true, subject: e.Subject, id: e.MsgID, job: e.Job, header: e.Header, data: e.Data}
}

// lane publishes to one stream. Its window belongs to the goroutine of run; what is under mu is shared with the committer.
type lane struct {
	stream string
	limits limits
	store  Store
	writer Writer
	gate   Gate
	js     jetstream.JetStream
	log    *slog.Logger
	wake   chan struct{}

	waiting, bytes atomic.Int64
	refused        atomic.Bool // entries, for want of room
	pumping        sync.Mutex  // held while the gate may be open for what is published

	mu         sync.Mutex
	entries    []message
	queue      []message
	queueBytes int
	newest     uint64 // highest key pushed
	behind     bool   // the store holds accepts after taken that are not in queue
	trouble    string

	window      []message // sent or to be sent again, in order
	windowBytes int
	taken       uint64 // highest key of an accept taken into the window
	position    uint64 // highest key of an accept that has left it
	mark        uint64 // highest sequence known
	lost        bool   // an answer has shown that the stream had ended below the mark
	left        uint64 // where it had ended
	room        room   // for accepts
	pause       time.Duration
}

func (l *lane) resume() error {
	var err error
	if l.position, err = l.store.Position(l.stream); err != nil {
		return err
	}
	l.taken, l.newest = l.position, l.position
	count, bytes, err := l.store.LogSize(l.stream, l.position)
	if err != nil {
		return err
	}
	l.waiting.Store(count)
	l.bytes.Store(bytes)
	entries, err := l.store.Entries(l.stream)
	for i := range entries {
		l.entries = append(l.entries, fromEntry(&entries[i]))
	}
	return err
}

func (l *lane) run(ctx context.Context) {
	var passed <-chan struct{} // the opening of the gate that the window was sent through
	for ctx.Err() == nil {
		open, changed, err := l.pass(ctx, &passed)
		if !open {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		if err == nil {
			continue
		}
		l.say(err.Error())
		switch {
		case noRoom(err):
			l.refused.Store(l.entriesWait())
		case errors.Is(err, errLost):
			l.gate.Lost(l.stream, l.left)
		case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrStreamNotFound):
			l.gate.Check()
		}
		l.pause = min(max(2*l.pause, minPause), l.limits.MaxPause)
		select {
		case <-time.After(l.pause):
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// pass publishes for as long as the gate is open and nothing fails.
func (l *lane) pass(ctx context.Context, passed *<-chan struct{}) (open bool, changed <-chan struct{}, err error) {
	l.pumping.Lock()
	defer l.pumping.Unlock()
	if open, changed = l.gate.Passed(l.stream); !open {
		return false, changed, nil
	}
	if *passed != changed {
		if err := l.rewind(); err != nil {
			return true, changed, err
		}
		*passed = changed
	}
	return true, changed, l.pump(ctx, changed)
}

// say logs what is amiss once, and once that it is over.
func (l *lane) say(trouble string) {
	l.mu.Lock()
	said := l.trouble
	l.trouble = trouble
	l.mu.Unlock()
	switch trouble {
	case said:
	case "":
		l.log.Info("Relay goes on")
	default:
		l.log.Warn("Relay waits", "for", trouble)
	}
}

// pump publishes until something fails, the gate closes or ctx ends; then it waits for what is on its way.
func (l *lane) pump(ctx context.Context, gate <-chan struct{}) error {
	if l.lost { // and the gate is open all the same: whoever keeps it has nothing to put back
		l.lost, l.mark = false, 0
	}
	err := l.resend()
	for err == nil {
		// Another connection may be to a server that has less: nothing is sent on it before that has been looked at.
		if open, _ := l.gate.Passed(l.stream); !open {
			return l.drain(nil)
		}
		if err = l.fill(ctx); err != nil {
			break
		}
		var look <-chan time.Time
		if !l.room.short.IsZero() {
			look = time.After(lookEvery)
		}
		if len(l.window) == 0 {
			l.say(l.crowded())
			select {
			case <-l.wake:
				continue
			case <-look:
				continue
			case <-gate:
				return nil
			case <-ctx.Done():
				return nil
			}
		}
		head := &l.window[0]
		if head.done {
			l.collect()
			continue
		}
		select {
		case ack := <-head.ack.Ok():
			l.acked(head, ack)
			l.collect()
			if l.lost {
				return l.drain(errLost)
			}
			l.pause = 0
			l.say(l.crowded())
		case err = <-head.ack.Err():
			head.ack = nil
		case <-l.wake:
		case <-look:
		case <-gate:
			return l.drain(nil)
		case <-ctx.Done():
			return l.drain(nil)
		}
	}
	return l.drain(err)
}

// fill publishes as much as the window has room for: entries first. An eighth of it is for entries alone, so that they pass even
// where accepts are refused.
func (l *lane) fill(ctx context.Context) error {
	for {
		room := l.limits.Window - len(l.window)
		forAccepts := room - l.limits.Window/8
		if l.windowBytes >= l.limits.WindowBytes {
			forAccepts = 0
		}
		if forAccepts > 0 && l.acceptsWait() {
			if err := l.lookForRoom(ctx); err != nil {
				return err
			}
			if l.room.none() {
				forAccepts = 0
			}
		}
		batch, err := l.next(room, forAccepts)
		if err != nil || len(batch) == 0 {
			return err
		}
		for i := range batch {
			l.windowBytes += len(batch[i].data)
		}
		l.window = append(l.window, batch...)
		if err := l.send(l.window[len(l.window)-len(batch):]); err != nil {
			return err
		}
	}
}

func (l *lane) resend() error { return l.send(l.window) }

// send publishes those of msgs that are not done and not on their way.
func (l *lane) send(msgs []message) error {
	for i := range msgs {
		m := &msgs[i]
		if m.done || m.ack != nil {
			continue
		}
		m.mark = l.mark
		out := nats.NewMsg(m.subject)
		out.Data = m.data
		out.Header.Set(jetstream.MsgIDHeader, m.id)
		for k, v := range m.header {
			out.Header.Set(k, v)
		}
		if m.header["Content-Type"] == "" {
			out.Header.Set("Content-Type", contentType)
		}
		ack, err := l.js.PublishMsgAsync(out, jetstream.WithExpectStream(l.stream))
		if err != nil {
			return fmt.Errorf("publish to %s: %w", l.stream, err)
		}
		m.ack = ack
	}
	return nil
}
