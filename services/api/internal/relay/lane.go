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
	"handoff/services/api/internal/job"
)

const (
	maxWindow = 4096 // messages on their way at once
	maxQueue  = 8192 // accepts kept in memory; beyond, they are read from the store
	maxPause  = 5 * time.Second
)

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
	seq     uint64
}

func fromEntry(e *commit.Entry) message {
	return message{key: e.Key, entry: true, subject: e.Subject, id: e.MsgID, job: e.Job, header: e.Header, data: e.Data}
}

// lane publishes to one stream. Its window belongs to the goroutine of run; what is under mu is shared with the committer.
type lane struct {
	stream string
	store  Store
	writer Writer
	gate   Gate
	js     jetstream.JetStream
	log    *slog.Logger
	wake   chan struct{}

	waiting, bytes atomic.Int64

	mu      sync.Mutex
	entries []message
	queue   []message
	newest  uint64 // highest key pushed
	behind  bool   // the store holds accepts after taken that are not in queue

	window   []message // sent or to be sent again, in order
	taken    uint64    // highest key of an accept taken into the window
	position uint64    // highest key of an accept that has left it
	trouble  string
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

func (l *lane) push(m message) {
	l.waiting.Add(1)
	l.bytes.Add(int64(len(m.data)))
	l.mu.Lock()
	l.newest = m.key
	switch {
	case l.behind:
	case len(l.queue) >= maxQueue:
		l.behind = true
	default:
		l.queue = append(l.queue, m)
	}
	l.mu.Unlock()
	l.nudge()
}

func (l *lane) pushEntry(m message) {
	l.mu.Lock()
	l.entries = append(l.entries, m)
	l.mu.Unlock()
	l.nudge()
}

func (l *lane) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lane) run(ctx context.Context) {
	var pause time.Duration
	for ctx.Err() == nil {
		open, changed := l.gate.Passed()
		if !open {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		err := l.pump(ctx, changed)
		if err == nil {
			pause = 0
			l.say("")
			continue
		}
		l.say(err.Error())
		pause = min(max(2*pause, 50*time.Millisecond), maxPause)
		select {
		case <-time.After(pause):
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// say logs what is amiss once, and once that it is over.
func (l *lane) say(trouble string) {
	switch {
	case trouble == l.trouble:
		return
	case trouble == "":
		l.log.Info("Relay goes on")
	default:
		l.log.Warn("Relay waits", "for", trouble)
	}
	l.trouble = trouble
}

// pump publishes until something fails, the gate closes or ctx ends; then it waits for what is on its way.
func (l *lane) pump(ctx context.Context, gate <-chan struct{}) error {
	err := l.resend()
	for err == nil {
		if err = l.fill(); err != nil {
			break
		}
		if len(l.window) == 0 {
			select {
			case <-l.wake:
				continue
			case <-gate:
				return nil
			case <-ctx.Done():
				return nil
			}
		}
		var wake <-chan struct{}
		if len(l.window) < maxWindow {
			wake = l.wake
		}
		head := &l.window[0]
		if head.done {
			l.collect()
			continue
		}
		select {
		case ack := <-head.ack.Ok():
			head.seq, head.done = ack.Sequence, true
			l.collect()
		case err = <-head.ack.Err():
			head.ack = nil
		case <-wake:
		case <-gate:
			return l.drain(nil)
		case <-ctx.Done():
			return l.drain(nil)
		}
	}
	return l.drain(err)
}

// fill publishes as much as the window has room for: entries first.
func (l *lane) fill() error {
	for len(l.window) < maxWindow {
		batch, err := l.next(maxWindow - len(l.window))
		if err != nil || len(batch) == 0 {
			return err
		}
		for i := range batch {
			l.window = append(l.window, batch[i])
		}
		if err := l.send(l.window[len(l.window)-len(batch):]); err != nil {
			return err
		}
	}
	return nil
}

// next takes up to n messages that have not been sent yet.
func (l *lane) next(n int) ([]message, error) {
	l.mu.Lock()
	if k := min(n, len(l.entries)); k > 0 {
		batch := l.entries[:k:k]
		l.entries = l.entries[k:]
		l.mu.Unlock()
		return batch, nil
	}
	if k := min(n, len(l.queue)); k > 0 {
		batch := l.queue[:k:k]
		l.queue = l.queue[k:]
		l.taken = batch[k-1].key
		l.mu.Unlock()
		return batch, nil
	}
	behind := l.behind
	l.mu.Unlock()
	if !behind {
		return nil, nil
	}
	return l.catchUp(n)
}

// catchUp reads accepts from the store, and leaves that to the queue again once there are no more.
func (l *lane) catchUp(n int) ([]message, error) {
	rows, err := l.store.Log(l.stream, l.taken, min(n, 1024))
	if err != nil {
		return nil, err
	}
	batch := make([]message, 0, len(rows))
	for i := range rows {
		a := &rows[i]
		m := message{key: a.Key, subject: a.Subject, id: a.Job, job: a.Job, data: a.Data, done: a.Read}
		if !m.done {
			if m.done, err = l.settled(a.Job); err != nil {
				return nil, err
			}
		}
		batch = append(batch, m)
		l.taken = a.Key
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(rows) == 0 && l.newest <= l.taken {
		l.behind = false
	}
	if len(rows) == 0 && l.behind {
		l.nudge() // pushed since the read
	}
	return batch, nil
}

// settled reports whether a job's event need not be published: it is in the stream, or all that it asks for has ended.
func (l *lane) settled(id string) (bool, error) {
	j, err := l.store.Job(id)
	if errors.Is(err, job.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if j.State().Ended() {
		return true, nil
	}
	for i := range j.Tasks {
		if j.Tasks[i].Message != 0 {
			return true, nil
		}
	}
	return false, nil
}

func (l *lane) resend() error { return l.send(l.window) }

// send publishes those of msgs that are not done and not on their way.
func (l *lane) send(msgs []message) error {
	for i := range msgs {
		m := &msgs[i]
		if m.done || m.ack != nil {
			continue
		}
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

// drain waits for everything on its way, so that what has come through is not sent again, and gives err back.
func (l *lane) drain(err error) error {
	for i := range l.window {
		m := &l.window[i]
		if m.done || m.ack == nil {
			continue
		}
		select { // ends: the futures time out
		case ack := <-m.ack.Ok():
			m.seq, m.done = ack.Sequence, true
		case <-m.ack.Err():
		}
		m.ack = nil
	}
	l.collect()
	return err
}
