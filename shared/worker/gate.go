package worker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/stream"
)

// gate keeps claims from beginning before the bucket's open key has been seen on this connection, because a bucket
// without it has lost data that is still being put back.
type gate struct {
	open    bool
	epoch   uint64 // of the connection on which open was seen
	doubts  uint64 // how often it was shut again
	last    uint64 // highest revision seen since the open key was read
	created time.Time
}

// pass is leave to write a claim, as of when it was given.
type pass struct{ epoch, doubts uint64 }

// isOpen reports whether claims may begin; if that is not known, it looks.
func (b *bucket) isOpen(ctx context.Context) (pass, bool, error) {
	epoch := b.nc.Stats().Reconnects
	b.mu.Lock()
	p := pass{epoch, b.gate.doubts}
	open := b.gate.open && b.gate.epoch == epoch
	b.mu.Unlock()
	if open {
		return p, true, nil
	}
	value, revision, err := b.get(ctx, stream.OpenKey)
	if err != nil || value == nil {
		return p, false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gate.doubts == p.doubts {
		b.gate.open, b.gate.epoch, b.gate.last = true, epoch, revision
	}
	return p, true, nil
}

// believe reports whether the claim that was written under p, when before was the highest revision, can be believed at its
// own. If not, the bucket may have been lost and made again since p was given.
func (b *bucket) believe(p pass, before, revision uint64) bool {
	epoch := b.nc.Stats().Reconnects
	b.mu.Lock()
	defer b.mu.Unlock()
	if p != (pass{epoch, b.gate.doubts}) {
		return false
	}
	if revision <= before {
		b.gate.shut() // the bucket counts anew
		return false
	}
	return true
}

// highest gives the highest revision seen since the open key was read.
func (b *bucket) highest() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.gate.last
}

func (b *bucket) saw(revision uint64) {
	b.mu.Lock()
	b.gate.last = max(b.gate.last, revision)
	b.mu.Unlock()
}

// doubt makes the next isOpen look again.
func (b *bucket) doubt() {
	b.mu.Lock()
	b.gate.shut()
	b.mu.Unlock()
}

func (g *gate) shut() {
	g.open = false
	g.doubts++
}

// noticeLoss doubts the bucket when err says that its stream is not there: the next one is another.
func (b *bucket) noticeLoss(err error) {
	for _, gone := range []error{jetstream.ErrNoStreamResponse, jetstream.ErrStreamNotFound, jetstream.ErrJetStreamNotEnabled, nats.ErrNoResponders} {
		if errors.Is(err, gone) {
			b.doubt()
			return
		}
	}
}

// noticeAge doubts the bucket when it was made at another time than before.
func (b *bucket) noticeAge(created time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.gate.created.IsZero() && !created.Equal(b.gate.created) {
		b.gate.shut()
	}
	b.gate.created = created
}
