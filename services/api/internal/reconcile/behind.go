package reconcile

import (
	"context"

	"handoff/services/api/internal/lease"
	"handoff/shared/stream"
)

// CatchUp waits until everything has been read that is in NATS when it is called, after what is lost there has been put back as far as
// our store knows. It is for who holds the lease with a store that others have been ahead of.
func (r *Reconciler) CatchUp(ctx context.Context) error {
	done := make(chan struct{})
	r.mu.Lock()
	r.behind = append(r.behind, done)
	r.mu.Unlock()
	r.Check()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lookForWhatOthersDid makes what is missing, puts back records that are lost and has everything read, for those who wait for that.
// Nothing may be published before.
func (r *Reconciler) lookForWhatOthersDid(ctx context.Context, epoch uint64) error {
	r.mu.Lock()
	behind := r.behind
	r.behind = nil
	r.mu.Unlock()
	if len(behind) == 0 {
		return nil
	}
	if err := r.readAll(ctx, epoch); err != nil {
		r.mu.Lock()
		r.behind = append(r.behind, behind...)
		r.mu.Unlock()
		return err
	}
	for _, done := range behind {
		close(done)
	}
	return nil
}

func (r *Reconciler) readAll(ctx context.Context, epoch uint64) error {
	found, err := r.find(ctx)
	if err != nil {
		if r.nc.IsConnected() {
			r.say(err)
		}
		return err
	}
	loss := Plan(found)
	loss.Domains = stream.WorkStreams()
	r.hold(allPublishing()...)
	r.hold(r.readersOf(&loss)...)
	r.pass(epoch)
	return r.putBack(ctx, epoch, &loss, found, lease.CatchingUp)
}
