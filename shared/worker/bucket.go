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
	errConflict = errors.New("record has another revision")
	errFull     = errors.New("bucket is full")
)

const (
	codeWrongLastSequence = 10071
	codeMaxBytes          = 10077
	codeInsufficient      = 10023 // the server's own limit
)

// bucket reads and writes task records. It also keeps the gate: no claim begins before the bucket's open key has been seen on this
// connection, because a bucket without it has lost data that is still being put back.
type bucket struct {
	js   jetstream.JetStream
	nc   *nats.Conn
	name string

	mu    sync.Mutex
	kv    jetstream.KeyValue
	open  bool
	epoch uint64 // of the connection on which open was seen
	last  uint64 // highest revision seen
}

func newBucket(js jetstream.JetStream, nc *nats.Conn, service string) *bucket {
	return &bucket{js: js, nc: nc, name: stream.Bucket(service)}
}

func (b *bucket) handle(ctx context.Context) (jetstream.KeyValue, error) {
	b.mu.Lock()
	kv := b.kv
	b.mu.Unlock()
	if kv != nil {
		return kv, nil
	}
	kv, err := b.js.KeyValue(ctx, b.name)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", b.name, err)
	}
	b.mu.Lock()
	b.kv = kv
	b.mu.Unlock()
	return kv, nil
}

// isOpen reports whether the open key has been seen on this connection; if not, it looks.
func (b *bucket) isOpen(ctx context.Context) (bool, error) {
	epoch := b.nc.Stats().Reconnects
	b.mu.Lock()
	open := b.open && b.epoch == epoch
	b.mu.Unlock()
	if open {
		return true, nil
	}
	return b.lookOpen(ctx, epoch)
}

func (b *bucket) lookOpen(ctx context.Context, epoch uint64) (bool, error) {
	kv, err := b.handle(ctx)
	if err != nil {
		return false, err
	}
	_, err = kv.Get(ctx, stream.OpenKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s of %s: %w", stream.OpenKey, b.name, err)
	}
	b.mu.Lock()
	b.open, b.epoch = true, epoch
	b.mu.Unlock()
	return true, nil
}

// doubt makes the next isOpen look again.
func (b *bucket) doubt() {
	b.mu.Lock()
	b.open, b.last = false, 0
	b.mu.Unlock()
}

func (b *bucket) highest() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// read gives a job's record and its revision; nil and 0 when there is none.
func (b *bucket) read(ctx context.Context, job string) (*event.Record, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, stream.AckWait/2)
	defer cancel()
	kv, err := b.handle(ctx)
	if err != nil {
		return nil, 0, err
	}
	entry, err := kv.Get(ctx, job)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read record %s: %w", job, err)
	}
	r, err := event.DecodeRecord(entry.Value())
	if err != nil {
		return nil, 0, fmt.Errorf("record %s: %w", job, err)
	}
	return r, entry.Revision(), nil
}

// write replaces the record at the given revision (0: there is none) and gives the new revision. The error is errConflict when the
// record is at another revision, errFull when there is no room; after any other the outcome is unknown.
func (b *bucket) write(ctx context.Context, job string, r *event.Record, revision uint64) (uint64, error) {
	value, err := r.Encode()
	if err != nil {
		return 0, err
	}
	msg := nats.NewMsg("$KV." + b.name + "." + job)
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
		b.mu.Lock()
		b.last = max(b.last, a.Sequence)
		b.mu.Unlock()
		return a.Sequence, nil
	case err := <-ack.Err():
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
	s, err := b.js.Stream(ctx, stream.BucketStream(b.name))
	if err != nil {
		return false, fmt.Errorf("bucket %s: %w", b.name, err)
	}
	info := s.CachedInfo()
	return info.Config.MaxBytes > 0 && info.State.Bytes > uint64(info.Config.MaxBytes)/10*9, nil
}
