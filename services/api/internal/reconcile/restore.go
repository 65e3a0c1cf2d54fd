package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/lease"
	"handoff/services/api/internal/reissue"
	"handoff/shared/stream"
)

const glance = 20 * time.Millisecond

// errBroken ends a restoring that another connect, or another api, has overtaken.
var errBroken = errors.New("the connection or the lease was lost meanwhile")

// restore puts back what is lost. Each step leaves things so that all of it can begin again: the marks that tell of the loss are
// replaced in the last one.
func (r *Reconciler) restore(ctx context.Context, epoch uint64, loss *Loss, found []Found) error {
	begun := time.Now()
	r.lack(fmt.Errorf("putting back what NATS has lost of %v", loss.Domains))
	log := r.log.With("streams", loss.Domains, "buckets", loss.Buckets)
	log.Debug("Putting back what is lost")
	if err := r.putBack(ctx, epoch, loss, found, lease.Leading); err != nil {
		return err
	}
	again, err := r.askAgain(loss, found)
	if err != nil {
		r.say(err)
		return err
	}
	r.mu.Lock()
	for _, name := range loss.Domains {
		delete(r.proven, name)
	}
	r.waiting = nil
	r.mu.Unlock()
	r.lack(nil)
	r.release(publishers(loss)...)
	for _, service := range loss.Buckets {
		r.parts.Sweep.Soon(service)
	}
	if isNews(found, loss) {
		log.Warn("What NATS had lost is back", "reissued", again, "took", time.Since(begun).Round(time.Millisecond))
	} else {
		log.Debug("Store and NATS have met", slog.Int("reissued", again))
	}
	return nil
}

// putBack does what comes before anybody may be asked again: records are back, and everything has been read. It ends when this api
// does not stand as it did.
func (r *Reconciler) putBack(ctx context.Context, epoch uint64, loss *Loss, found []Found, as lease.Standing) error {
	for _, name := range loss.Domains {
		r.parts.Relay.Standstill(name)
	}
	for _, name := range r.streamsOf(loss) {
		r.parts.Reading.Standstill(name)
	}
	steps := []func() error{
		func() error { return r.forget(loss) },
		func() error { return r.restoreBuckets(ctx, epoch, loss, found) },
		func() error { return r.catchUp(ctx, epoch, loss) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			r.say(err)
			return err
		}
		if r.nc.Stats().Reconnects != epoch || r.parts.Holder.Standing() != as {
			return errBroken
		}
	}
	return nil
}

// isNews reports whether anything is lost that was there before.
func isNews(found []Found, loss *Loss) bool {
	return slices.ContainsFunc(found, func(f Found) bool {
		_, lost := loss.Streams[f.Stream]
		service, isBucket := serviceOf(f.Stream)
		return !f.Mark.Created.IsZero() && (lost || isBucket && slices.Contains(loss.Buckets, service))
	})
}

// forget takes from the tasks what messages they had that are lost, and has the streams read from their beginnings.
func (r *Reconciler) forget(loss *Loss) error {
	// Notes of the relay that still wait to be written would overwrite what is written here.
	if err := r.parts.Writer.Do(func(*commit.View) error { return nil }); err != nil {
		return fmt.Errorf("write what is known: %w", err)
	}
	tasks := r.collect(func(row *backlog.Row) bool {
		t := job.Task{State: row.State, Message: row.Message}
		return loss.Message(row.Stream, &t) != row.Message
	})
	err := r.inBatches(tasks, func(v *commit.View, t task) error {
		j, err := v.Edit(t.job)
		if errors.Is(err, job.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if known := j.Task(t.service); known != nil {
			known.Message = loss.Message(j.Stream, known)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget messages that are lost: %w", err)
	}
	return r.parts.Writer.Do(func(v *commit.View) error {
		for name := range loss.Streams {
			v.SetCursor(name, time.Time{})
		}
		for _, service := range loss.Buckets {
			v.SetCursor(stream.BucketStream(stream.Bucket(service)), time.Time{})
		}
		return nil
	})
}

// catchUp lets the projection read on and waits until it has come to the ends.
func (r *Reconciler) catchUp(ctx context.Context, epoch uint64, loss *Loss) error {
	names := r.streamsOf(loss)
	type end struct {
		created time.Time
		last    uint64
	}
	ends := map[string]end{}
	for _, name := range names {
		s, err := r.stream(ctx, name)
		if err != nil {
			return err
		}
		info := s.CachedInfo()
		ends[name] = end{info.Created, info.State.LastSeq}
	}
	r.release(r.readersOf(loss)...)
	for _, name := range names {
		for {
			created, seq, atEnd := r.parts.Reading.Read(name)
			if e := ends[name]; created.Equal(e.created) && (atEnd || seq >= e.last) {
				break
			}
			if err := r.wait(ctx, epoch, glance); err != nil {
				return fmt.Errorf("read %s to its end: %w", name, err)
			}
		}
	}
	return nil
}

// askAgain has every task asked for again that no message asks for, ends those that nobody ever asked for, and at last notes how far
// the streams had come at the beginning, so that what is lost meanwhile shows.
func (r *Reconciler) askAgain(loss *Loss, found []Found) (again int, err error) {
	tasks := r.collect(func(row *backlog.Row) bool {
		return !row.Ended() && row.Message == 0 && slices.Contains(loss.Domains, row.Stream)
	})
	positions := map[string]uint64{}
	for _, name := range loss.Domains {
		if positions[name], err = r.parts.Store.Position(name); err != nil {
			return 0, fmt.Errorf("read the position of %s: %w", name, err)
		}
	}
	owed := map[string]uint64{}
	err = r.inBatches(tasks, func(v *commit.View, t task) error {
		j, err := v.Job(t.job)
		if errors.Is(err, job.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		known := j.Task(t.service)
		if known.Unasked() {
			_, err := reissue.End(v, t.job, t.service, time.Now().UTC())
			return err
		}
		if !Again(j, known, positions[j.Stream]) {
			return nil
		}
		done, err := reissue.Task(v, t.job, t.service, known.Generation)
		if err != nil || !done {
			return err
		}
		again++
		if j, err = v.Job(t.job); err == nil {
			owed[j.Stream] = max(owed[j.Stream], j.Task(t.service).Entry)
		}
		return err
	})
	if err != nil {
		return again, fmt.Errorf("ask again for tasks: %w", err)
	}
	r.mu.Lock()
	for name, key := range owed {
		r.owed[name] = key
	}
	r.mu.Unlock()
	names := r.streamsOf(loss)
	return again, r.parts.Writer.Do(func(v *commit.View) error {
		for i := range found {
			if f := &found[i]; slices.Contains(names, f.Stream) {
				v.SetMark(f.Stream, commit.Mark{Created: f.Created, Highest: f.Last})
			}
		}
		return nil
	})
}

// wait waits for d, unless the connection is lost.
func (r *Reconciler) wait(ctx context.Context, epoch uint64, d time.Duration) error {
	for end := time.Now().Add(d); ; {
		select {
		case <-time.After(min(time.Until(end), 100*time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
		if r.nc.Stats().Reconnects != epoch || !r.nc.IsConnected() {
			return errBroken
		}
		if !time.Now().Before(end) {
			return nil
		}
	}
}

func (r *Reconciler) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := r.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", name, err)
	}
	return s, nil
}

// streamsOf lists the work streams and buckets of what waits until all is back.
func (r *Reconciler) streamsOf(loss *Loss) []string {
	names := slices.Clone(loss.Domains)
	for _, d := range loss.Domains {
		for _, service := range servicesOf(d) {
			if b := stream.BucketStream(stream.Bucket(service)); !slices.Contains(names, b) {
				names = append(names, b)
			}
		}
	}
	return names
}

func (r *Reconciler) readersOf(loss *Loss) []string {
	names := r.streamsOf(loss)
	for i, name := range names {
		names[i] = reading(name)
	}
	return names
}

func publishers(loss *Loss) []string {
	names := make([]string, len(loss.Domains))
	for i, name := range loss.Domains {
		names[i] = publishing(name)
	}
	return names
}

func (r *Reconciler) lack(what error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lacking = what
}

// Restored says what is still being put back; nil when all is back, and what was asked for again is in the streams.
func (r *Reconciler) Restored() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lacking != nil || r.parts == nil {
		return r.lacking
	}
	for name, key := range r.owed {
		if waits, err := r.parts.Store.EntryWaits(key); err == nil && !waits {
			delete(r.owed, name)
			continue
		}
		return fmt.Errorf("putting back what NATS has lost of %s: what was asked for again is on its way", name)
	}
	return nil
}
