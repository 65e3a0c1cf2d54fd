package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"handoff/services/api/internal/commit"
)

// A Writer runs a function in the store's next transaction.
type Writer interface {
	Do(f func(*commit.View) error) error
}

// A Door lets requests in once it has been opened.
type Door interface{ Open() }

// A Meeting opens the door once store and NATS have met: a new store must first learn what NATS knows, or an address could be
// registered twice. A store that has met its NATS once knows it all, and NATS may then be away.
type Meeting struct {
	met    bool
	caught <-chan struct{}
	writer Writer
	door   Door
	nats   *Reconciler
	opened atomic.Bool
}

// NewMeeting makes a meeting. met is whether there has been one before, caughtUp is closed when everything that is in NATS has
// been read.
func NewMeeting(met bool, caughtUp <-chan struct{}, w Writer, d Door, nats *Reconciler) *Meeting {
	return &Meeting{met: met, caught: caughtUp, writer: w, door: d, nats: nats}
}

// Run waits for the meeting, or the end of ctx.
func (m *Meeting) Run(ctx context.Context) error {
	if !m.met {
		select {
		case <-m.caught:
		case <-ctx.Done():
			return nil
		}
		if !m.nats.whole(ctx) {
			return nil
		}
		err := m.writer.Do(func(v *commit.View) error {
			v.SetMet()
			return nil
		})
		if err != nil {
			return fmt.Errorf("note that the store has met NATS: %w", err)
		}
	}
	m.door.Open()
	m.opened.Store(true)
	return nil
}

// Ready says what the meeting waits for, or what is being put back; nil when requests are let in and all is well.
func (m *Meeting) Ready() error {
	if m.opened.Load() {
		return m.nats.Restored()
	}
	if err := m.nats.Err(); err != nil {
		return fmt.Errorf("the store has not met its NATS yet: %w", err)
	}
	return errors.New("the store has not met its NATS yet: reading what is there")
}
