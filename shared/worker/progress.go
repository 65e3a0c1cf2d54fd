package worker

import (
	"context"
	"math"
	"sync"
	"time"

	"handoff/shared/event"
)

// progressEvery bounds how often progress alone makes a claim touch its record.
const progressEvery = 300 * time.Millisecond

type progressKey struct{}

// Progress says how far the task is: percent from 0 to 100 and a short note. It never blocks and may be called as often as one
// likes; a few a second at most are shown. Outside a handler it does nothing.
func Progress(ctx context.Context, percent float64, note string) {
	if p, ok := ctx.Value(progressKey{}).(*progress); ok {
		if math.IsNaN(percent) { // 0 of 0, and no JSON
			percent = 0
		}
		p.set(event.Progress{Percent: min(100, max(0, percent)), Note: event.Cut(note, 200)})
	}
}

// progress carries the latest word from a handler to the owner of its record.
type progress struct {
	poke chan struct{}

	mu      sync.Mutex
	latest  *event.Progress
	written time.Time
	armed   bool
}

func newProgress() *progress { return &progress{poke: make(chan struct{}, 1), written: time.Now()} }

func withProgress(ctx context.Context, p *progress) context.Context {
	return context.WithValue(ctx, progressKey{}, p)
}

func (p *progress) set(v event.Progress) {
	p.mu.Lock()
	p.latest = &v
	p.mu.Unlock()
	p.wake()
}

func (p *progress) wake() {
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// due reports whether the latest word may be written now; if not, it pokes again when it may.
func (p *progress) due(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := progressEvery - now.Sub(p.written)
	if wait <= 0 {
		return true
	}
	if !p.armed {
		p.armed = true
		time.AfterFunc(wait, func() {
			p.mu.Lock()
			p.armed = false
			p.mu.Unlock()
			p.wake()
		})
	}
	return false
}

// take gives the latest word, which is then being written.
func (p *progress) take(now time.Time) *event.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written = now
	return p.latest
}

func (p *progress) last() *event.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest
}
