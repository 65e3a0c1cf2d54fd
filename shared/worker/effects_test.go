package worker_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"handoff/shared/event"
)

// effects counts what handlers have done, by job.
type effects struct {
	mu sync.Mutex
	n  map[string]int
}

func (e *effects) add(id string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.n == nil {
		e.n = map[string]int{}
	}
	e.n[id]++
	return e.n[id]
}

func (e *effects) of(id string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n[id]
}

// jobs is how many jobs have had an effect.
func (e *effects) jobs() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.n)
}

func (e *effects) onceEach(t *testing.T) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, n := range e.n {
		if n != 1 {
			t.Errorf("job %s had %d effects", id, n)
		}
	}
}

// held is a handler that runs until it is let go, whatever its context says.
type held struct {
	effects
	open chan struct{}
	once sync.Once
}

func newHeld(t *testing.T) *held {
	h := &held{open: make(chan struct{})}
	t.Cleanup(h.letGo)
	return h
}

func (h *held) letGo() { h.once.Do(func() { close(h.open) }) }

// do ends with the context, too.
func (h *held) do(ctx context.Context, e event.Event[data]) (map[string]int, error) {
	h.add(e.ID)
	select {
	case <-h.open:
		return map[string]int{"attempt": e.Attempt}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// stubborn does not listen to its context.
func (h *held) stubborn(_ context.Context, e event.Event[data]) (map[string]int, error) {
	h.add(e.ID)
	<-h.open
	return nil, errors.New("too late")
}
