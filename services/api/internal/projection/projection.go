package projection

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/stream"
)

// A Store says how far a stream has been read.
type Store interface {
	Cursor(stream string) (time.Time, error)
}

// A Writer runs a function in the store's next transaction.
type Writer interface {
	Do(f func(*commit.View) error) error
}

// A Gate before each stream is closed from every connect until the stream has been looked after.
type Gate interface {
	// Reads reports whether a stream may be read, and gives a channel that is closed when that changes.
	Reads(stream string) (bool, <-chan struct{})
	// Check asks for the streams to be looked after soon.
	Check()
}

// Emails knows which addresses are taken.
type Emails interface {
	Taken(v *commit.View, email string) (bool, error)
	Add(v *commit.View, email string, key uint64)
}

// Projection is a reader for each work stream and each bucket. Make it with [New] and [Projection.Run] it.
type Projection struct {
	readers []*reader
	caught  chan struct{} // closed once every reader has been at its stream's end
}

// New makes a projection that reads with js and writes with w.
func New(store Store, w Writer, gate Gate, emails Emails, js jetstream.JetStream, log *slog.Logger) *Projection {
	p := &Projection{caught: make(chan struct{})}
	add := func(name string, apply applyFunc) {
		p.readers = append(p.readers, &reader{
			stream: name, apply: apply, store: store, writer: w, gate: gate, js: js, log: log.With("stream", name),
			caught: make(chan struct{}),
		})
	}
	for _, name := range stream.WorkStreams() {
		e := &events{stream: name, emails: emails, log: log.With("stream", name)}
		add(name, e.apply)
	}
	for _, service := range stream.Services() {
		r := &records{service: service, log: log.With("service", service)}
		add(stream.BucketStream(stream.Bucket(service)), r.apply)
	}
	return p
}

// Run reads until ctx ends.
func (p *Projection) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, r := range p.readers {
		wg.Go(func() { r.run(ctx) })
	}
	wg.Go(func() {
		for _, r := range p.readers {
			select {
			case <-r.caught:
			case <-ctx.Done():
				return
			}
		}
		close(p.caught)
	})
	wg.Wait()
}

// CaughtUp gives a channel that is closed once every stream and bucket has been read to its end.
func (p *Projection) CaughtUp() <-chan struct{} { return p.caught }

// Read tells how far a stream has been read: the store knows of every message up to sequence, and atEnd says that there were no more
// then. created is when the stream that is being read was made; it is zero while none is.
func (p *Projection) Read(name string) (created time.Time, sequence uint64, atEnd bool) {
	r := p.reader(name)
	if r == nil {
		return time.Time{}, 0, false
	}
	far := r.reading()
	return far.created, far.seq, far.atEnd
}

// Project has the store know what a record says that somebody else has read.
func (p *Projection) Project(v *commit.View, service, jobID string, seen job.Seen) error {
	return (&records{service: service}).take(v, jobID, seen)
}

// Standstill returns once what was read of a stream has been written, and nothing more will be. The stream's gate must be closed.
func (p *Projection) Standstill(name string) {
	if r := p.reader(name); r != nil {
		r.busy.Lock()
		r.busy.Unlock() //nolint:staticcheck // to have held it is what is wanted
	}
}

func (p *Projection) reader(name string) *reader {
	for _, r := range p.readers {
		if r.stream == name {
			return r
		}
	}
	return nil
}

// Pending is how many messages of all streams were still to be read when last heard.
func (p *Projection) Pending() (n uint64) {
	for _, r := range p.readers {
		n += r.pending.Load()
	}
	return n
}
