package reconcile

import (
	"context"

	"handoff/shared/stream"
)

// There are two gates before each stream: one for who publishes to it and one for who reads it. All are closed from every connect
// until NATS has been looked after. Those of a stream that is being put back are held closed for longer.

func publishing(name string) string { return "publish to " + name }
func reading(name string) string    { return "read " + name }

// Passed reports whether a stream may be published to, and gives a channel that is closed when that changes.
func (r *Reconciler) Passed(name string) (bool, <-chan struct{}) { return r.gate(publishing(name)) }

// Reads reports whether a stream may be read, and gives a channel that is closed when that changes.
func (r *Reconciler) Reads(name string) (bool, <-chan struct{}) { return r.gate(reading(name)) }

func (r *Reconciler) gate(key string) (bool, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed[key] == nil {
		r.changed[key] = make(chan struct{})
	}
	return r.open && r.epoch == r.nc.Stats().Reconnects && !r.held[key], r.changed[key]
}

// passed reports whether NATS has been looked after since the last connect.
func (r *Reconciler) passed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open && r.epoch == r.nc.Stats().Reconnects
}

// Whole reports whether NATS has been looked after since the last connect, and nothing is being put back.
func (r *Reconciler) Whole() bool { return r.passed() && r.Restored() == nil }

// whole waits until every work stream's gate is open; false when ctx ends before.
func (r *Reconciler) whole(ctx context.Context) bool {
	for _, name := range stream.WorkStreams() {
		for {
			open, changed := r.Passed(name)
			if open {
				break
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return false
			}
		}
	}
	return true
}

// hold closes gates until they are released.
func (r *Reconciler) hold(keys ...string) { r.setHeld(true, keys) }

func (r *Reconciler) release(keys ...string) { r.setHeld(false, keys) }

func (r *Reconciler) setHeld(held bool, keys []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range keys {
		if r.held[k] == held {
			continue
		}
		r.held[k] = held
		if r.open {
			r.change(k)
		}
	}
}

func (r *Reconciler) change(key string) {
	if ch := r.changed[key]; ch != nil {
		close(ch)
	}
	r.changed[key] = make(chan struct{})
}

// close closes all gates.
func (r *Reconciler) close(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = why
	if r.open {
		r.open = false
		r.changeAll()
	}
}

// pass opens all gates that are not held.
func (r *Reconciler) pass(epoch uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = nil
	if r.open && r.epoch == epoch {
		return
	}
	r.open, r.epoch = true, epoch
	r.changeAll()
}

// allPublishing lists the gates before everything that is published to.
func allPublishing() []string {
	keys := []string{publishing(stream.Records)}
	for _, name := range stream.WorkStreams() {
		keys = append(keys, publishing(name))
	}
	return keys
}

// allReading lists the gates before everything that is read.
func allReading() []string {
	keys := []string{reading(stream.Records)}
	for _, name := range stream.WorkStreams() {
		keys = append(keys, reading(name))
	}
	for _, service := range stream.Services() {
		keys = append(keys, reading(stream.BucketStream(stream.Bucket(service))))
	}
	return keys
}

func (r *Reconciler) changeAll() {
	for k := range r.changed {
		if !r.held[k] {
			r.change(k)
		}
	}
}

// Lost says that a stream has lost every message above a sequence.
func (r *Reconciler) Lost(name string, left uint64) {
	if r.parts != nil {
		r.mu.Lock()
		if known, ok := r.proven[name]; !ok || left < known {
			r.proven[name] = left
		}
		r.mu.Unlock()
		r.hold(publishing(name))
	}
	r.Check()
}
