package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/stream"
)

// owner gives the store that the streams say they belong to. Once they are known to be ours they stay so as long as the
// connection does.
func (l *Lease) owner(ctx context.Context, epoch uint64) (string, error) {
	if l.ours && l.oursEpoch == epoch {
		return l.mind.me.Store, nil
	}
	owner, err := stream.Owner(ctx, l.o.JetStream)
	var foreign *stream.ForeignError
	switch {
	case errors.As(err, &foreign) && l.mind.me.Store != "": // some are another's, if not all
		owner = foreign.Owner
		if owner == l.mind.me.Store {
			owner = foreign.Ours
		}
	case err != nil:
		return "", err
	}
	l.ours, l.oursEpoch = owner != "" && owner == l.mind.me.Store, epoch
	return owner, nil
}

// read gives the lease as it stands. There may be none, and no bucket.
func (l *Lease) read(ctx context.Context) (kv jetstream.KeyValue, found *Record, revision uint64, err error) {
	kv, err = l.o.JetStream.KeyValue(ctx, stream.Control)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil, 0, nil
	}
	if err != nil {
		return nil, nil, 0, fmt.Errorf("open the bucket %s: %w", stream.Control, err)
	}
	e, err := kv.Get(ctx, stream.LeaseKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return kv, nil, 0, nil
	}
	if err != nil {
		return nil, nil, 0, fmt.Errorf("read the lease: %w", err)
	}
	var r Record
	if json.Unmarshal(e.Value(), &r) != nil || r.File == "" {
		r = Record{Store: l.mind.me.Store, Token: "unreadable"} // somebody's, until it has stood still for long enough
	}
	return kv, &r, e.Revision(), nil
}

// write replaces the lease that was read.
func (l *Lease) write(ctx context.Context, h hold, r Record) error {
	kv := h.kv
	if kv == nil {
		err := stream.EnsureControl(ctx, l.o.JetStream, stream.Config{StoreID: r.Store})
		var foreign *stream.ForeignError
		if errors.As(err, &foreign) || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return errMoved
		}
		if err != nil {
			return err
		}
		if kv, err = l.o.JetStream.KeyValue(ctx, stream.Control); err != nil {
			return fmt.Errorf("open the bucket %s: %w", stream.Control, err)
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the lease: %w", err)
	}
	if h.found == nil {
		_, err = kv.Create(ctx, stream.LeaseKey, b)
	} else {
		_, err = kv.Update(ctx, stream.LeaseKey, b, h.revision)
	}
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return errMoved
	}
	if err != nil {
		return fmt.Errorf("write the lease: %w", err)
	}
	return nil
}
