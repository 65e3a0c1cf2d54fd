package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/event"
	"handoff/shared/stream"
)

var (
	errConflict   = errors.New("record has another revision")
	errFull       = errors.New("bucket is full")
	errUnreadable = errors.New("record can't be decoded")
)

const (
	codeWrongLastSequence = 10071
	codeMaxBytes          = 10077
	codeInsufficient      = 10023 // the server's own limit
)

// bucket reads and writes task records. It also keeps the gate (gate.go).
type bucket struct {
	js    jetstream.JetStream
	nc    *nats.Conn
	clock *clock
	name  string

	mu     sync.Mutex
	stream jetstream.Stream // under the bucket
	gate   gate
}

func newBucket(js jetstream.JetStream, nc *nats.Conn, c *clock, service string) *bucket {
	return &bucket{js: js, nc: nc, clock: c, name: stream.Bucket(service)}
}

// look asks for the stream under the bucket as it is now, and for the time.
func (b *bucket) look(ctx context.Context) (jetstream.Stream, error) {
	asked := b.clock.local()
	s, err := b.js.Stream(ctx, stream.BucketStream(b.name))
	b.noticeLoss(err)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", b.name, err)
	}
	b.clock.observe(asked, b.clock.local(), s.CachedInfo().TimeStamp)
	b.mu.Lock()
	b.stream = s
	b.mu.Unlock()
	return s, nil
}

// get reads what is under a key: its value and revision. The value is nil when there is none; then the revision is that of
// a deletion's mark, 0 without one.
func (b *bucket) get(ctx context.Context, key string) ([]byte, uint64, error) {
	b.mu.Lock()
	s := b.stream
	b.mu.Unlock()
	if s == nil {
		var err error
		if s, err = b.look(ctx); err != nil {
			return nil, 0, err
		}
	}
	m, err := s.GetLastMsgForSubject(ctx, b.subject(key))
	b.noticeLoss(err)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, 0, nil
	case err != nil:
		return nil, 0, fmt.Errorf("read %s of bucket %s: %w", key, b.name, err)
	case m.Header.Get("KV-Operation") != "" || m.Header.Get(jetstream.MarkerReasonHeader) != "":
		return nil, m.Sequence, nil
	}
	return m.Data, m.Sequence, nil
}

func (b *bucket) subject(key string) string { return "$KV." + b.name + "." + key }

// read gives a job's record and its revision; nil when there is none. The error is errUnreadable when there is one that
// this process does not understand.
func (b *bucket) read(ctx context.Context, job string) (*event.Record, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, stream.AckWait/2)
	defer cancel()
	value, revision, err := b.get(ctx, job)
	if err != nil || value == nil {
		return nil, revision, err
	}
	r, err := event.DecodeRecord(value)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return r, revision, nil
}

// write replaces the record at the given revision (0: there is none) and gives the new revision. The error is errConflict when the
// record is at another revision, errFull when there is no room; after any other the outcome is unknown.
func (b *bucket) write(ctx context.Context, job string, r *event.Record, revision uint64) (uint64, error) {
	value, err := r.Encode()
	if err != nil {
		return 0, err
	}
	msg := nats.NewMsg(b.subject(job))
	msg.Data = value
	// The header is stored with the record. Padded, a record of the same size still fits into a full bucket when the
	// revision has grown by a digit.
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprintf("%020d", revision))
	// Async, because the answers of many writes are then awaited on one subscription. No retries: each would be a second
	// compare-and-set that the first one's success refuses.
	ack, err := b.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, fmt.Errorf("write record %s: %w", job, err)
	}
	select {
	case a := <-ack.Ok():
		b.saw(a.Sequence)
		return a.Sequence, nil
	case err := <-ack.Err():
		b.noticeLoss(err)
		var api *jetstream.APIError
		if errors.As(err, &api) {
			switch api.ErrorCode {
			case codeWrongLastSequence:
				return 0, errConflict
			case codeMaxBytes, codeInsufficient:
				return 0, errFull
			}
		}
		return 0, fmt.Errorf("write record %s: %w", job, err)
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// crowded reports whether the bucket is so full that nothing new should be claimed.
func (b *bucket) crowded(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s, err := b.look(ctx)
	if err != nil {
		return false, err
	}
	info := s.CachedInfo()
	b.noticeAge(info.Created)
	return info.Config.MaxBytes > 0 && info.State.Bytes > uint64(info.Config.MaxBytes)/10*9, nil
}
