package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/stream"
)

const (
	every    = 10 * time.Second
	patience = 10 * time.Second
	maxPause = 2 * time.Second
	minPause = 250 * time.Millisecond
)

// Reconciler looks after NATS. Make it with [New] and [Reconciler.Run] it.
type Reconciler struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	cfg  stream.Config
	log  *slog.Logger
	asks chan struct{}

	mu      sync.Mutex
	open    bool
	epoch   uint64                   // of the connection that the gates were opened for
	held    map[string]bool          // gates that are closed whatever else is well
	changed map[string]chan struct{} // by gate: closed when it opens or closes
	waiting error                    // why all are closed
	proven  map[string]uint64        // streams of which the relay knows what they had left
	owed    map[string]uint64        // by stream: highest key of the entries that the last restoring has added
	lacking error                    // what is being put back
	behind  []chan struct{}          // closed when everything has been read

	parts *Parts
}

// New makes a reconciler of what cfg describes. The gates are closed.
func New(nc *nats.Conn, js jetstream.JetStream, cfg stream.Config, log *slog.Logger) *Reconciler {
	return &Reconciler{
		nc: nc, js: js, cfg: cfg, log: log, asks: make(chan struct{}, 1), held: map[string]bool{}, changed: map[string]chan struct{}{},
		proven: map[string]uint64{}, owed: map[string]uint64{},
		waiting: errors.New("NATS has not been looked at yet"),
	}
}

// Err says what is in the way; nil when NATS has been looked after.
func (r *Reconciler) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiting
}

// Check asks for a look soon.
func (r *Reconciler) Check() {
	select {
	case r.asks <- struct{}{}:
	default:
	}
}

// Run looks after NATS until ctx ends.
func (r *Reconciler) Run(ctx context.Context) {
	status := r.nc.StatusChanged(nats.CONNECTED, nats.DISCONNECTED, nats.RECONNECTING)
	defer r.nc.RemoveStatusListener(status)
	var pause time.Duration
	for ctx.Err() == nil {
		wait := every
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			pause = min(max(2*pause, minPause), maxPause)
			wait = pause
		} else {
			pause = 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-status:
			if !r.passed() || !r.nc.IsConnected() { // else it is of the connect that was looked after
				r.close(errors.New("no connection to NATS"))
			}
		case <-r.asks:
			// Whoever asks will ask again; a moment's rest keeps a missing stream from making this a busy loop.
			select {
			case <-time.After(minPause):
			case <-ctx.Done():
			}
		}
		timer.Stop()
	}
}

// look makes what is missing and opens the gate.
func (r *Reconciler) look(ctx context.Context) error {
	if !r.nc.IsConnected() {
		err := errors.New("no connection to NATS")
		r.close(err)
		return err
	}
	epoch := r.nc.Stats().Reconnects
	if r.parts != nil {
		return r.lookAs(ctx, r.parts.Holder.Standing(), epoch)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := stream.Ensure(ctx, r.js, r.cfg); err != nil {
		if r.nc.IsConnected() {
			r.say(err)
		}
		return err
	}
	r.pass(epoch)
	return nil
}

// say logs an obstacle once.
func (r *Reconciler) say(err error) {
	r.mu.Lock()
	same := r.waiting != nil && r.waiting.Error() == err.Error()
	r.waiting = err
	r.mu.Unlock()
	if !same {
		r.log.Warn("Streams are not as they should be", "error", err)
	}
}
