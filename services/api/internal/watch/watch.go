// Package watch tells whoever waits for a job when it has changed.
package watch

import (
	"context"
	"sync"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
)

// A Store gives the last committed state of a job.
type Store interface {
	Job(id string) (*job.Job, error)
}

// Watch is a meeting point of one writer and many who wait.
type Watch struct {
	store Store

	mu      sync.Mutex
	waiting map[string]map[chan struct{}]struct{} // by job id
}

// New makes one over store.
func New(store Store) *Watch {
	return &Watch{store: store, waiting: map[string]map[chan struct{}]struct{}{}}
}

// Committed wakes those who wait for the jobs of a transaction. It is given to the committer.
func (w *Watch) Committed(c *commit.Changes) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		return
	}
	for id := range c.Jobs {
		for ch := range w.waiting[id] {
			select {
			case ch <- struct{}{}:
			default:
			}
		}
	}
}

// Wait gives a job once it has ended, or as it is when ctx ends first. [job.ErrNotFound] when there is no such job.
func (w *Watch) Wait(ctx context.Context, id string) (*job.Job, error) {
	changed := make(chan struct{}, 1)
	w.join(id, changed)
	defer w.leave(id, changed)
	for {
		j, err := w.store.Job(id)
		if err != nil || j.State().Ended() || ctx.Err() != nil {
			return j, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (w *Watch) join(id string, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting[id] == nil {
		w.waiting[id] = map[chan struct{}]struct{}{}
	}
	w.waiting[id][ch] = struct{}{}
}

func (w *Watch) leave(id string, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting[id], ch)
	if len(w.waiting[id]) == 0 {
		delete(w.waiting, id)
	}
}
