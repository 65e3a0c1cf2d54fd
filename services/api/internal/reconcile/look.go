package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/lease"
	"handoff/shared/stream"
)

// A Store is what is read to put back what NATS has lost.
type Store interface {
	Mark(stream string) (commit.Mark, error)
	Position(stream string) (uint64, error)
	Job(id string) (*job.Job, error)
	EntryWaits(key uint64) (bool, error)
}

// A Holder knows what this api may do to NATS.
type Holder interface {
	Standing() lease.Standing
	Store() string // the id of the store; empty until it has one
}

// Parts are whom a [Reconciler] works with to put back what NATS has lost. All are required.
type Parts struct {
	Holder  Holder
	Store   Store
	Writer  Writer
	Backlog interface {
		Each(f func(*backlog.Row) bool)
	}
	Relay   interface{ Standstill(stream string) }
	Sweep   interface{ Soon(service string) }
	Reading interface {
		Standstill(stream string)
		Read(stream string) (created time.Time, sequence uint64, atEnd bool)
	}
}

// Restore has r put back what NATS has lost, not only make what is missing. Call it before [Reconciler.Run].
func (r *Reconciler) Restore(p Parts) { r.parts = &p }

// lookAs does what an api may do that stands so. Who does not hold the lease makes nothing and puts nothing back.
func (r *Reconciler) lookAs(ctx context.Context, standing lease.Standing, epoch uint64) error {
	switch standing {
	case lease.Reading:
		r.hold(allPublishing()...)
		r.release(allReading()...)
		r.pass(epoch)
	case lease.Beside:
		r.hold(publishing(stream.Records)) // it is one writer's
		for _, name := range stream.WorkStreams() {
			r.release(publishing(name))
		}
		r.release(allReading()...)
		r.pass(epoch)
	case lease.CatchingUp:
		return r.lookForWhatOthersDid(ctx, epoch)
	case lease.Leading:
		return r.lookForLosses(ctx, epoch)
	default:
		r.close(errOutside)
		return errOutside
	}
	return nil
}

var errOutside = errors.New("it is not known whether this NATS may be used")

// lookForLosses makes what is missing, puts back what is lost and opens the gates.
func (r *Reconciler) lookForLosses(ctx context.Context, epoch uint64) error {
	found, err := r.find(ctx)
	if err != nil {
		if r.nc.IsConnected() {
			r.say(err)
		}
		return err
	}
	loss := Plan(found)
	var held []string
	free := []string{publishing(stream.Records)}
	for _, name := range stream.WorkStreams() {
		if slices.Contains(loss.Domains, name) {
			held = append(held, publishing(name))
		} else {
			free = append(free, publishing(name))
		}
	}
	r.hold(held...)
	r.release(free...)
	if len(loss.Domains) == 0 && len(loss.Buckets) == 0 {
		if err := r.meet(found); err != nil {
			return err
		}
		r.pass(epoch)
		return nil
	}
	r.hold(r.readersOf(&loss)...)
	r.pass(epoch)
	return r.restore(ctx, epoch, &loss, found)
}

// meet notes buckets that are seen for the first time, and are whole.
func (r *Reconciler) meet(found []Found) error {
	if !slices.ContainsFunc(found, func(f Found) bool { return f.Mark.Created.IsZero() }) {
		return nil
	}
	return r.parts.Writer.Do(func(v *commit.View) error {
		for i := range found {
			if f := &found[i]; f.Mark.Created.IsZero() {
				v.SetMark(f.Stream, commit.Mark{Created: f.Created, Highest: f.Last})
			}
		}
		return nil
	})
}

// find makes what is missing, but for a bucket's open key, and says how everything is. Marks are read first: they may rise while the
// server is asked.
func (r *Reconciler) find(ctx context.Context) ([]Found, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := r.parts.Writer.Do(func(*commit.View) error { return nil }); err != nil { // marks that wait to be written
		return nil, fmt.Errorf("write what is known: %w", err)
	}
	found, err := r.known()
	if err != nil {
		return nil, err
	}
	if err := r.dropConsumersAhead(ctx, found); err != nil {
		return nil, err
	}
	if err := r.restartHistory(ctx, found); err != nil {
		return nil, err
	}
	cfg := r.cfg
	cfg.SkipOpen, cfg.StoreID = true, r.parts.Holder.Store()
	if err := stream.Ensure(ctx, r.js, cfg); err != nil {
		return nil, err
	}
	for i := range found {
		f := &found[i]
		s, err := r.js.Stream(ctx, f.Stream)
		if err != nil {
			return nil, fmt.Errorf("look at stream %s: %w", f.Stream, err)
		}
		info := s.CachedInfo()
		f.Created, f.Last = info.Created, info.State.LastSeq
		if service, ok := serviceOf(f.Stream); ok {
			if f.Open, err = isOpen(ctx, s, service); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// known gives every work stream and bucket with its mark.
func (r *Reconciler) known() ([]Found, error) {
	names := stream.WorkStreams()
	for _, service := range stream.Services() {
		names = append(names, stream.BucketStream(stream.Bucket(service)))
	}
	found := make([]Found, len(names))
	r.mu.Lock()
	for i, name := range names {
		found[i].Stream = name
		found[i].Left, found[i].Proven = r.proven[name]
	}
	r.mu.Unlock()
	for i := range found {
		var err error
		if found[i].Mark, err = r.parts.Store.Mark(found[i].Stream); err != nil {
			return nil, fmt.Errorf("read the mark of %s: %w", found[i].Stream, err)
		}
	}
	return found, nil
}

// dropConsumersAhead deletes consumers that were given more than their stream has: they would pass over what comes next. It proves
// that the stream has lost it.
func (r *Reconciler) dropConsumersAhead(ctx context.Context, found []Found) error {
	for _, d := range stream.Durables() {
		c, err := r.js.Consumer(ctx, d.Stream, d.Name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at consumer %s on %s: %w", d.Name, d.Stream, err)
		}
		s, err := r.js.Stream(ctx, d.Stream) // asked after its consumer
		if err != nil {
			return fmt.Errorf("look at stream %s: %w", d.Stream, err)
		}
		last := s.CachedInfo().State.LastSeq
		if c.CachedInfo().Delivered.Stream <= last {
			continue
		}
		for i := range found {
			if f := &found[i]; f.Stream == d.Stream {
				f.Proven, f.Left = true, last
			}
		}
		if err := r.js.DeleteConsumer(ctx, d.Stream, d.Name); err != nil {
			return fmt.Errorf("delete consumer %s on %s, which is ahead of it: %w", d.Name, d.Stream, err)
		}
	}
	return nil
}

func serviceOf(name string) (service string, isBucket bool) {
	for _, s := range stream.Services() {
		if stream.BucketStream(stream.Bucket(s)) == name {
			return s, true
		}
	}
	return "", false
}

func isOpen(ctx context.Context, s jetstream.Stream, service string) (bool, error) {
	m, err := s.GetLastMsgForSubject(ctx, stream.RecordSubject(service, stream.OpenKey))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look whether bucket %s is open: %w", stream.Bucket(service), err)
	}
	return m.Header.Get("KV-Operation") == "", nil
}
