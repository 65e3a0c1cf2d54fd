package lease

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
)

// DefaultTakeOver is how long a lease has to stand still before it is nobody's any more.
const DefaultTakeOver = 15 * time.Second

// How long a start waits for a first word from NATS before it takes requests without one.
const (
	patienceConnected = 10 * time.Second
	patienceAway      = time.Second
)

// Why no requests are taken.
const (
	reasonOther   = "another api holds this store"
	reasonOld     = "an old copy of this store"
	reasonForeign = "this NATS belongs to another store"
	reasonBehind  = "learning what another api has done that held this store"
	reasonUnknown = "it is not known yet whether another api holds this store"
)

// A Writer runs a function in the store's next transaction.
type Writer interface {
	Do(f func(*commit.View) error) error
}

// Options are what a lease needs. All are required but for TakeOver and Changed.
type Options struct {
	NATS      *nats.Conn
	JetStream jetstream.JetStream
	Writer    Writer
	Me        commit.Identity // as the file was opened
	TakeOver  time.Duration   // default [DefaultTakeOver]
	Log       *slog.Logger

	// Recover makes a file current that is an old copy, or if old is false one that has stood by while others held the lease, and
	// gives it the start number start. It is called once the lease is ours, in a goroutine of its own, and again later if it fails.
	// See [Recovery].
	Recover func(ctx context.Context, start uint64, old bool) error
	// Changed is called after every change of what the lease says of itself. It must not block.
	Changed func()
}

// Lease is one api's view of who holds the store. Make it with [New] and [Lease.Run] it; everything else may be called at any time.
type Lease struct {
	o       Options
	began   time.Time
	wake    chan struct{}
	decided chan struct{}
	state   atomic.Pointer[state]

	// What follows belongs to the goroutine of Run.
	mind      mind
	ours      bool   // the streams say that they belong to our store
	oursEpoch uint64 // on this connection
	trouble   string
	recovery  chan recovery // nil when none is under way
}

// A Standing is what an api may do to NATS.
type Standing int

// The standings there are.
const (
	// Outside may do nothing: it is not known yet who holds the store, NATS is away, or it belongs to another store.
	Outside Standing = iota
	// Reading may read: our file is an old copy, and another holds the lease.
	Reading
	// Beside may also publish what was accepted: another holds the lease.
	Beside
	// CatchingUp holds the lease with a file that is not current yet: it makes and puts back what is missing, and reads everything,
	// but publishes nothing meanwhile.
	CatchingUp
	// Leading may do everything.
	Leading
)

func (s Standing) String() string {
	return [...]string{"outside", "reading", "beside", "catching up", "leading"}[s]
}

// state is what a lease says of itself. It is replaced, never changed.
type state struct {
	decided  bool
	store    string
	token    string // ours, that is or would be in the lease
	standing Standing
	sent     time.Time // when the lease was last written by us
	refusing string    // why no requests are taken
	epoch    uint64    // of the connection on which that was found out
}

// New makes a lease of the file o.Me. Nothing is held, and nothing is known.
func New(o Options) *Lease {
	if o.TakeOver == 0 {
		o.TakeOver = DefaultTakeOver
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	l := &Lease{o: o, began: time.Now(), wake: make(chan struct{}, 1), decided: make(chan struct{}), mind: newMind(o.Me, o.TakeOver)}
	l.state.Store(&state{store: o.Me.Store, token: l.mind.token})
	return l
}

// Standing says what this api may do to NATS, on this connection. Who holds the lease is sure of it for as long as nobody can have
// taken it over since it was last written.
func (l *Lease) Standing() Standing {
	s := l.state.Load()
	switch {
	case !l.o.NATS.IsConnected(), l.o.NATS.Stats().Reconnects != s.epoch:
		return Outside
	case s.standing == Leading && time.Since(s.sent) >= l.mind.valid:
		return Beside
	case s.standing == CatchingUp && time.Since(s.sent) >= l.mind.valid:
		return Reading
	}
	return s.standing
}

// Leading reports whether this api may trim, sweep and reconcile.
func (l *Lease) Leading() bool { return l.Standing() == Leading }

// Refusing says why no requests are taken; empty when they are. While NATS is away it stays what it was: nobody can have proved
// otherwise. A start that gets no word from NATS takes requests after a moment.
func (l *Lease) Refusing() string {
	s := l.state.Load()
	if s.decided {
		return s.refusing
	}
	patience := patienceAway
	if l.o.NATS.IsConnected() {
		patience = patienceConnected
	}
	if time.Since(l.began) < patience {
		return reasonUnknown
	}
	return ""
}

// Ready says why no requests are taken; nil when they are.
func (l *Lease) Ready() error {
	if why := l.Refusing(); why != "" {
		return errors.New(why)
	}
	return nil
}

// Store is the store's id; empty until it has one.
func (l *Lease) Store() string { return l.state.Load().store }

// Decided gives a channel that is closed once NATS has been asked for the first time who holds the store.
func (l *Lease) Decided() <-chan struct{} { return l.decided }

// say replaces what the lease says of itself.
func (l *Lease) say(next state) {
	next.store, next.token, next.sent = l.mind.me.Store, l.mind.token, l.mind.sent
	last := l.state.Swap(&next)
	if next.decided && !last.decided {
		close(l.decided)
	}
	if next.refusing != last.refusing {
		if next.refusing != "" {
			l.o.Log.Warn("Takes no requests", "because", next.refusing, "file", l.mind.me.File)
		} else {
			l.o.Log.Info("Takes requests again")
		}
	}
	same := next
	same.sent = last.sent
	if same != *last {
		l.o.Changed()
	}
}
