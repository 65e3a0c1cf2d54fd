package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/shared/stream"
)

const (
	minPause      = 50 * time.Millisecond
	giveBackLimit = 2 * time.Second
)

// errMoved says that the lease is not what it was when it was read.
var errMoved = errors.New("somebody else has written the lease")

// Run looks after the lease until ctx ends, and gives it back then.
func (l *Lease) Run(ctx context.Context) {
	status := l.o.NATS.StatusChanged(nats.CONNECTED, nats.DISCONNECTED, nats.RECONNECTING)
	defer l.o.NATS.RemoveStatusListener(status)
	// Whoever writes the lease is heard at once, so that two never go on beside each other for a whole beat. It is a hint to look.
	heard, err := l.o.NATS.Subscribe("$KV."+stream.Control+"."+stream.LeaseKey, l.hear)
	if err != nil {
		l.o.Log.Warn("The lease can't be listened for, only looked at", "error", err)
	} else {
		defer func() { _ = heard.Unsubscribe() }() // the connection may be gone
	}
	recovering, cancel := context.WithCancel(ctx)
	defer cancel()
	for ctx.Err() == nil {
		timer := time.NewTimer(l.look(ctx, recovering))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-l.wake:
			l.mind.watch.lost() // it has moved, whatever is found now
		case _, open := <-status:
			if !open {
				status = nil
			}
		case r := <-l.recovery:
			l.recovered(r)
		}
		timer.Stop()
	}
	cancel()
	if l.recovery != nil {
		<-l.recovery
	}
	l.giveBack(context.WithoutCancel(ctx))
}

// hear has the lease looked at when somebody else has written it.
func (l *Lease) hear(m *nats.Msg) {
	var r Record
	if json.Unmarshal(m.Data, &r) == nil && r.Token == l.state.Load().token {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// look asks NATS who holds the store and does what follows. It returns how long to wait before the next look.
func (l *Lease) look(ctx, recovering context.Context) time.Duration {
	if !l.o.NATS.IsConnected() {
		l.mind.watch.lost()
		return beat(l.o.TakeOver)
	}
	ctx, cancel := context.WithTimeout(ctx, beat(l.o.TakeOver))
	defer cancel()
	err := l.step(ctx, recovering)
	switch {
	case err == nil:
		l.trouble = ""
		return beat(l.o.TakeOver)
	case errors.Is(err, errMoved):
		return minPause
	case l.o.NATS.IsConnected() && err.Error() != l.trouble && !errors.Is(err, context.Canceled):
		l.trouble = err.Error()
		l.o.Log.Warn("The lease can't be looked at", "error", err)
	}
	return beat(l.o.TakeOver) / 4
}

// step is one look.
func (l *Lease) step(ctx, recovering context.Context) error {
	epoch := l.o.NATS.Stats().Reconnects
	kv, found, revision, err := l.read(ctx)
	if err != nil {
		l.mind.watch.lost()
		return err
	}
	// After the bucket: one that another has just made says whose it is.
	owner, err := l.owner(ctx, epoch)
	if err != nil {
		l.mind.watch.lost()
		return err
	}
	d := l.mind.look(time.Now(), epoch, owner, found, revision)
	switch d.Action {
	case Adopt:
		if err := l.name(d.Store); err != nil {
			return err
		}
		return l.step(ctx, recovering) // this comes only once
	case Refuse:
		l.say(state{decided: true, refusing: reasonForeign, epoch: epoch})
		return nil
	case StandBy:
		next := state{decided: true, refusing: standingBy(d, found, l.mind.held && !l.mind.behind), standing: Beside, epoch: epoch}
		if d.Old {
			next.standing = Reading
		}
		l.say(next)
		return nil
	}
	return l.hold(ctx, recovering, hold{kv: kv, found: found, revision: revision, epoch: epoch, d: d})
}

// standingBy says why who stands by takes no requests.
func standingBy(d Decision, found *Record, current bool) string {
	switch {
	case d.Old:
		return reasonOld
	case found != nil:
		return reasonOther
	case current:
		return "" // the lease was lost with nobody in sight; it will be ours again
	}
	return reasonUnknown
}

// A hold is what was decided upon, and on what ground.
type hold struct {
	kv       jetstream.KeyValue // nil when there is no bucket
	found    *Record
	revision uint64
	epoch    uint64
	d        Decision
}

// hold writes the lease.
func (l *Lease) hold(ctx, recovering context.Context, h hold) error {
	r := l.mind.record(h.d)
	sent := time.Now()
	if err := l.write(ctx, h, r); err != nil {
		return err
	}
	if h.d.Action == Found {
		// Only now: of two new files one founds the store, and the other adopts it.
		if err := l.name(r.Store); err != nil {
			return err
		}
	}
	l.mind.wrote(h.d, sent)
	next := state{decided: true, standing: Leading, epoch: h.epoch}
	switch {
	case h.d.Old:
		next.refusing = reasonOld
	case l.mind.behind:
		next.refusing = reasonBehind
	}
	if !l.mind.leads {
		next.standing = CatchingUp
		l.recover(recovering, l.mind.next(), h.d.Old)
	}
	l.say(next)
	return nil
}

// recover begins to make our file current, unless that is under way.
func (l *Lease) recover(ctx context.Context, start uint64, old bool) {
	if l.recovery != nil {
		return
	}
	done := make(chan recovery, 1)
	l.recovery = done
	reign := l.mind.reign
	go func() {
		err := l.o.Recover(ctx, start, old)
		if err != nil { // not again at once
			select {
			case <-time.After(beat(l.o.TakeOver)):
			case <-ctx.Done():
			}
		}
		done <- recovery{start, reign, err}
	}()
}

// A recovery is how making an old copy current went.
type recovery struct {
	start uint64 // the number that its file was given
	reign int    // in which it was begun
	err   error
}

// recovered takes note of that. After a failure, or a reign of another meanwhile, the next look begins again.
func (l *Lease) recovered(r recovery) {
	l.recovery = nil
	if r.err != nil {
		l.o.Log.Warn("The store could not be made current", "error", r.err)
		return
	}
	if !l.mind.holding || r.reign != l.mind.reign {
		return
	}
	l.mind.current(r.start)
	l.o.Log.Info("The store is current now", "start", r.start)
}

// name gives our store its id, for good.
func (l *Lease) name(id string) error {
	err := l.o.Writer.Do(func(v *commit.View) error {
		v.SetStore(id)
		return nil
	})
	if err != nil {
		return fmt.Errorf("note the store's id: %w", err)
	}
	l.mind.me.Store = id
	return nil
}

// giveBack leaves the lease to whoever comes.
func (l *Lease) giveBack(ctx context.Context) {
	held := l.mind.holding
	l.mind.holding, l.mind.leads = false, false
	last := l.state.Load()
	l.say(state{decided: last.decided, refusing: last.refusing})
	if !held || !l.o.NATS.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, giveBackLimit)
	defer cancel()
	kv, found, revision, err := l.read(ctx)
	if err == nil && found != nil && found.Token == l.mind.token {
		r := *found
		r.Token = ""
		err = l.write(ctx, hold{kv: kv, found: found, revision: revision}, r)
	}
	if err != nil && !errors.Is(err, errMoved) {
		l.o.Log.Warn("The lease is not given back: another api has to wait for it", "error", err)
	}
}
