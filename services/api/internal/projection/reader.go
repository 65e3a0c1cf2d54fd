package projection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"handoff/services/api/internal/commit"
)

const (
	maxBatch  = 1000
	overlap   = time.Minute // how much is read again after a break: more than the clocks of a server may step
	lookEvery = 10 * time.Second
	idle      = 30 * time.Second // after which the server forgets a reader that has gone
	maxPause  = 2 * time.Second
)

// message is what was read.
type message struct {
	jetstream.Msg
	seq  uint64
	at   time.Time // when the server stored it
	news bool      // it is not older than what was read before the last break
}

// applyFunc changes a view by what was read.
type applyFunc func(v *commit.View, created time.Time, batch []message) error

// reader reads one stream, for as long as it takes.
type reader struct {
	stream string
	apply  applyFunc
	store  Store
	writer Writer
	gate   Gate
	js     jetstream.JetStream
	log    *slog.Logger

	pending atomic.Uint64
	caught  chan struct{}
	once    sync.Once
	busy    sync.Mutex // held while the gate may be open for what is read

	mu  sync.Mutex
	far reading
}

// reading is how far a reader has come in the stream that was made at a time; zero while it does not read.
type reading struct {
	created time.Time
	seq     uint64 // the store knows of everything up to here
	atEnd   bool   // there was nothing more
}

func (r *reader) come(to reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.far = to
}

func (r *reader) reading() reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.far
}

func (r *reader) run(ctx context.Context) {
	var pause time.Duration
	for ctx.Err() == nil {
		began := time.Now()
		open, changed, err := r.pass(ctx)
		if !open {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		r.log.Debug("Reader begins again", "error", err)
		r.gate.Check()
		if time.Since(began) > lookEvery {
			pause = 0
		}
		pause = min(max(2*pause, 50*time.Millisecond), maxPause)
		select {
		case <-time.After(pause):
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// pass reads for as long as the gate is open and nothing is amiss.
func (r *reader) pass(ctx context.Context) (open bool, changed <-chan struct{}, err error) {
	r.busy.Lock()
	defer r.busy.Unlock()
	if open, changed = r.gate.Reads(r.stream); !open {
		return false, changed, nil
	}
	return true, changed, r.read(ctx, changed)
}

// read reads until the gate changes (nil), or something is amiss.
func (r *reader) read(ctx context.Context, gate <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := r.lookUp(ctx)
	if err != nil {
		return err
	}
	info := s.CachedInfo()
	cursor, err := r.store.Cursor(r.stream)
	if err != nil {
		return err
	}
	cons, err := r.consumer(ctx, s, cursor, info.State.LastTime)
	if err != nil {
		return err
	}
	iter, err := cons.Messages(jetstream.PullMaxMessages(maxBatch), jetstream.PullHeartbeat(5*time.Second), jetstream.PullExpiry(30*time.Second))
	if err != nil {
		return fmt.Errorf("read %s: %w", r.stream, err)
	}
	in := &inbox{iter: iter, msgs: make(chan message, maxBatch), cursor: cursor}
	var wg sync.WaitGroup
	wg.Go(func() { in.fill(ctx) })
	defer func() {
		cancel() // it may wait for room in the inbox
		iter.Stop()
		wg.Wait()
	}()
	// What lies before the first message that comes was read before.
	first := cons.CachedInfo()
	r.come(reading{created: info.Created, seq: first.Delivered.Stream, atEnd: first.NumPending == 0})
	defer r.come(reading{})
	if first.NumPending == 0 {
		r.atEnd()
	}
	return r.follow(ctx, gate, in, info, cons)
}

// follow applies what comes, and looks from time to time whether the stream is still the one that it was.
func (r *reader) follow(ctx context.Context, gate <-chan struct{}, in *inbox, known *jetstream.StreamInfo, cons jetstream.Consumer) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var read uint64
	for {
		select { // before what else there is
		case <-gate:
			return nil
		default:
		}
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return nil
		case <-look.C:
			s, err := r.lookUp(ctx)
			if err != nil {
				return err
			}
			now := s.CachedInfo()
			if !now.Created.Equal(known.Created) || now.State.LastSeq < read {
				return fmt.Errorf("stream %s is not the one that was read", r.stream)
			}
			r.recount(ctx, cons)
		case m, ok := <-in.msgs:
			if !ok {
				return in.err
			}
			batch := in.gather(m)
			last := batch[len(batch)-1]
			err := r.writer.Do(func(v *commit.View) error {
				if err := r.apply(v, known.Created, batch); err != nil {
					return err
				}
				v.SetCursor(r.stream, last.at)
				return v.RaiseMark(r.stream, known.Created, last.seq)
			})
			if err != nil {
				return err
			}
			read = last.seq
			md, err := last.Metadata()
			if err != nil {
				return err
			}
			r.come(reading{created: known.Created, seq: read, atEnd: md.NumPending == 0})
			r.pending.Store(md.NumPending)
			if md.NumPending == 0 {
				r.atEnd()
			}
		}
	}
}

// recount notes that the end has been reached where the last messages were taken away unread.
func (r *reader) recount(ctx context.Context, cons jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	far := r.reading()
	info, err := cons.Info(ctx)
	if err == nil && info.NumPending == 0 && info.Delivered.Stream <= far.seq && !far.atEnd {
		far.atEnd = true
		r.come(far)
		r.atEnd()
	}
}

func (r *reader) atEnd() { r.once.Do(func() { close(r.caught) }) }

func (r *reader) lookUp(ctx context.Context) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s, err := r.js.Stream(ctx, r.stream)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", r.stream, err)
	}
	return s, nil
}

// consumer makes an ephemeral consumer that begins a little before what was read, or at the beginning if the stream ends
// before that: it has lost something since.
func (r *reader) consumer(ctx context.Context, s jetstream.Stream, cursor, newest time.Time) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	cfg := jetstream.ConsumerConfig{
		Name: "api-" + nuid.Next(), Description: "the api's projection", AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: idle,
	}
	if !cursor.IsZero() && !newest.Before(cursor) {
		from := cursor.Add(-overlap)
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &from
	}
	cons, err := s.CreateConsumer(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("make a reader of %s: %w", r.stream, err)
	}
	return cons, nil
}

// inbox takes messages from the client as they come, so that what has queued can be applied at once.
type inbox struct {
	iter   jetstream.MessagesContext
	cursor time.Time
	msgs   chan message
	err    error // why msgs was closed
}

var errGap = errors.New("a message was skipped")

func (in *inbox) fill(ctx context.Context) {
	defer close(in.msgs)
	var expected uint64 = 1
	for {
		msg, err := in.iter.Next()
		if err != nil {
			in.err = err
			return
		}
		md, err := msg.Metadata()
		if err != nil {
			in.err = err
			return
		}
		if md.Sequence.Consumer != expected {
			in.err = errGap
			return
		}
		expected++
		select {
		case in.msgs <- message{Msg: msg, seq: md.Sequence.Stream, at: md.Timestamp, news: md.Timestamp.After(in.cursor)}:
		case <-ctx.Done():
			in.err = ctx.Err()
			return
		}
	}
}

// gather gives first with whatever has come behind it.
func (in *inbox) gather(first message) []message {
	batch := []message{first}
	for len(batch) < maxBatch {
		select {
		case m, ok := <-in.msgs:
			if !ok {
				return batch // the next receive says so again
			}
			batch = append(batch, m)
		default:
			return batch
		}
	}
	return batch
}
