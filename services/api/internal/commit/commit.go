package commit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"handoff/services/api/internal/job"
)

const (
	// MaxBatch is how many functions one transaction runs at most.
	MaxBatch = 1024
	// maxLinger is how long what rides with a later commit waits when there is none.
	maxLinger = time.Second
	maxRecent = 1 << 14
)

type op struct {
	do   func(*View) error
	err  error
	done chan error
}

// Committer is the one writer of a store. Its [Committer.Run] must be running for anything to be written.
type Committer struct {
	store     Store
	committed []func(*Changes)
	ops       chan *op
	stopped   chan struct{}
	lastKey   uint64
	recent    map[string]*job.Job // of unended jobs, as last committed

	mu    sync.Mutex
	later []func(*View)
	armed bool
	wake  chan struct{}
}

// New makes the writer of store. lastKey is the highest log key that the store has given out. Each of committed is called
// after every transaction, in order, before those who wait for it are answered; it must not block.
func New(store Store, lastKey uint64, committed ...func(*Changes)) *Committer {
	return &Committer{
		store: store, committed: committed, lastKey: lastKey,
		ops: make(chan *op), stopped: make(chan struct{}), wake: make(chan struct{}, 1), recent: map[string]*job.Job{},
	}
}

// Do runs f in the next transaction and returns its error, or the transaction's once it has been written. f must not have
// changed anything when it returns an error: others share the transaction.
func (c *Committer) Do(f func(*View) error) error {
	o := &op{do: f, done: make(chan error, 1)}
	select {
	case c.ops <- o:
		return <-o.done
	case <-c.stopped:
		return ErrStopped
	}
}

// Later runs f in some transaction within a second: with whatever comes, or in one of its own. It returns at once; f is not
// run any more once the committer has stopped.
func (c *Committer) Later(f func(*View)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.later = append(c.later, f)
	c.arm()
}

// arm has the writer woken before what waits has waited too long. c.mu is held.
func (c *Committer) arm() {
	if !c.armed {
		c.armed = true
		time.AfterFunc(maxLinger, func() {
			select {
			case c.wake <- struct{}{}:
			default:
			}
		})
	}
}

// Run writes until ctx ends, and then what is left. An error means that the store may be broken and the process should end: what
// was not confirmed is not promised to anybody.
func (c *Committer) Run(ctx context.Context) error {
	defer close(c.stopped)
	batch := make([]*op, 0, MaxBatch)
	for {
		batch = batch[:0]
		select {
		case o := <-c.ops:
			batch = append(batch, o)
		case <-c.wake:
		case <-ctx.Done():
			return c.write(nil)
		}
	gather:
		for len(batch) < MaxBatch {
			select {
			case o := <-c.ops:
				batch = append(batch, o)
			default:
				break gather
			}
		}
		if err := c.write(batch); err != nil {
			return err
		}
	}
}

func (c *Committer) takeLater() []func(*View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fs := c.later
	c.later, c.armed = nil, false
	return fs
}

// putBack has what could not be written run again, before what has come since: the later note must win.
func (c *Committer) putBack(fs []func(*View)) {
	if len(fs) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.later = append(fs, c.later...)
	c.arm()
}

// write runs a batch in one transaction and answers it.
func (c *Committer) write(batch []*op) error {
	answered := false
	defer func() {
		if answered {
			return
		}
		for _, o := range batch { // a function has panicked, and with it goes the whole transaction
			o.done <- ErrStopped
		}
	}()
	v := &View{c: c, ch: Changes{LastKey: c.lastKey}}
	for _, o := range batch {
		o.err = o.do(v)
	}
	later := c.takeLater()
	for _, f := range later {
		f(v)
	}
	err := c.commit(v)
	for _, o := range batch {
		if o.err == nil {
			o.err = err
		}
		o.done <- o.err
	}
	answered = true
	if errors.Is(err, ErrNotWritten) {
		c.putBack(later)
		return nil
	}
	return err
}

func (c *Committer) commit(v *View) error {
	v.finish()
	if v.ch.empty() {
		return nil
	}
	if err := c.store.Commit(&v.ch); err != nil {
		for _, f := range v.rollback {
			f()
		}
		return fmt.Errorf("write to the store: %w", err)
	}
	c.lastKey = v.ch.LastKey
	c.remember(v.ch.Jobs)
	for _, f := range c.committed {
		f(&v.ch)
	}
	return nil
}

// remember keeps jobs that will soon be edited again, so that they need not be read and decoded.
func (c *Committer) remember(jobs map[string]*job.Job) {
	if len(c.recent) > maxRecent {
		clear(c.recent)
	}
	for id, j := range jobs {
		if j.State().Ended() {
			delete(c.recent, id)
		} else {
			c.recent[id] = j
		}
	}
}
