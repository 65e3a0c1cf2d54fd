package worker

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// link tells whoever asks when the connection is there again.
type link struct {
	nc     *nats.Conn
	status chan nats.Status
	done   chan struct{}
	wg     sync.WaitGroup

	mu sync.Mutex
	up chan struct{} // closed, and replaced, at each connect
}

func newLink(nc *nats.Conn) *link {
	l := &link{nc: nc, status: nc.StatusChanged(nats.CONNECTED), done: make(chan struct{}), up: make(chan struct{})}
	l.wg.Go(func() {
		for {
			select {
			case <-l.done:
				return
			case _, ok := <-l.status:
				if !ok {
					return
				}
				l.mu.Lock()
				close(l.up)
				l.up = make(chan struct{})
				l.mu.Unlock()
			}
		}
	})
	return l
}

func (l *link) close() {
	close(l.done)
	l.nc.RemoveStatusListener(l.status)
	l.wg.Wait()
}

// connected gives a channel that is closed at the next (re)connect.
func (l *link) connected() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// epoch differs between any two moments between which the connection was lost. The second result says whether there is
// a connection now.
func (l *link) epoch() (uint64, bool) { return l.nc.Stats().Reconnects, l.nc.IsConnected() }
