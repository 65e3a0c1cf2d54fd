package records

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/stream"
)

// estimateEvery is after how many looks it is asked again whether a full stream can be made smaller.
const estimateEvery = 6

// look finds out how RECORDS is, and decides how to go on.
func (w *Writer) look(ctx context.Context) error {
	info, newest, err := w.ask(ctx)
	if err != nil {
		return err
	}
	lastKey, err := w.store.LastKey()
	if err != nil {
		return err
	}
	s := info.State
	f := found{messages: s.Msgs, first: s.FirstSeq, last: s.LastSeq, gaps: s.NumDeleted > 0, newest: newest}
	same := info.Created.Equal(w.created) && s.LastSeq >= w.last
	w.created, w.last = info.Created, s.LastSeq
	w.bytes, w.limit = s.Bytes, uint64(max(info.Config.MaxBytes, 0))
	relearn := w.toRelearn()
	if !relearn && same && w.key == 0 && w.replaces == f.last { // a copy has been decided on, and its first message is still to come
		w.old = f.messages > 0
		return w.tidy(ctx, f)
	}
	v := judge(f, lastKey)
	if relearn {
		v = behind
	}
	switch v {
	case behind:
		if err := w.learn(ctx); err != nil {
			return err
		}
		w.begin(f, true)
	case anew:
		w.begin(f, true)
	case goOn:
		w.resume(f, same)
	}
	w.old = f.messages > 0 && f.first <= w.replaces
	return w.tidy(ctx, f)
}

func (w *Writer) ask(ctx context.Context) (*jetstream.StreamInfo, *header, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := w.js.Stream(ctx, stream.Records)
	if err != nil {
		return nil, nil, fmt.Errorf("look at RECORDS: %w", err)
	}
	m, err := s.GetLastMsgForSubject(ctx, stream.RecordUsers)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return s.CachedInfo(), nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look at the newest message of RECORDS: %w", err)
	}
	key, err := strconv.ParseUint(m.Header.Get(stream.HeaderLastKey), 10, 64)
	replaces, err2 := strconv.ParseUint(m.Header.Get(stream.HeaderReplaces), 10, 64)
	if err != nil || err2 != nil {
		return s.CachedInfo(), nil, nil // it is none of ours, and what is below it is not known
	}
	return s.CachedInfo(), &header{sequence: m.Sequence, key: key, replaces: replaces}, nil
}

// begin has every user written again. lost is whether what is there lacks some.
func (w *Writer) begin(f found, lost bool) {
	if f.messages > 0 || w.key > 0 {
		w.log.Warn("Users are written to RECORDS from the first one again", "lost", lost)
	}
	w.key, w.replaces, w.whole, w.estimated = 0, f.last, time.Time{}, time.Time{}
	if lost {
		w.setLost(true)
		w.moved(0, true)
	}
}

// resume goes on behind the newest message. same is whether the stream holds all that it was known to hold.
func (w *Writer) resume(f found, same bool) {
	if same && w.replaces == f.newest.replaces && w.key >= f.newest.key {
		return // what is above it was too large
	}
	lost := f.newest.key < w.key && !same
	if w.key > 0 {
		w.log.Warn("RECORDS is not as it was known", "key", w.key, "is", f.newest.key)
	}
	w.key, w.replaces, w.whole, w.estimated = f.newest.key, f.newest.replaces, time.Time{}, time.Time{}
	w.moved(w.key, true)
	if lost {
		w.setLost(true)
	}
}

// tidy purges what a whole copy has replaced, once the copy is safe from a power loss, and has the users written anew where that
// makes room.
func (w *Writer) tidy(ctx context.Context, f found) error {
	if w.old && !w.whole.IsZero() && time.Since(w.whole) >= 2*w.timing.sync {
		return w.purge(ctx)
	}
	r := room{bytes: w.bytes, limit: w.limit, rewriting: w.old}
	if r.tight() && w.toEstimate(r) {
		var err error
		if r.living, err = w.living(); err != nil {
			return err
		}
		w.estimated, w.estimatedAt = time.Now(), w.bytes
		if r.worth() {
			w.begin(f, false)
			w.old = true
			w.setFull(false)
			return nil
		}
	}
	w.setFull(r.nearlyFull() && !r.rewriting)
	return nil
}

// toEstimate reports whether it is time to read through all users again: RECORDS has grown, or is full and somebody may have left.
func (w *Writer) toEstimate(r room) bool {
	grown := w.bytes > w.estimatedAt+w.limit/20
	return w.estimated.IsZero() || grown || r.nearlyFull() && time.Since(w.estimated) >= estimateEvery*w.timing.look
}
