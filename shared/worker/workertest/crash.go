package workertest

import (
	"errors"
	"net"
	"regexp"
	"sync"

	"github.com/nats-io/nats.go"

	"handoff/shared/stream"
)

var errCrashed = errors.New("the process is dead")

// crasher kills a service's processes, as far as the rest of the world can tell: at the moment at which one writes that a task has
// ended, before anything of that is sent, its connection is gone for good. Each job does that to one process.
type crasher struct {
	ending *regexp.Regexp // a record of an end, as it is on the wire

	mu   sync.Mutex
	done map[string]bool // the jobs that have
}

func newCrasher(service string) *crasher {
	return &crasher{
		ending: regexp.MustCompile(`HPUB ` + regexp.QuoteMeta(stream.RecordSubject(service, "")) + `(\S+) [^{]*\{"state":"(?:succeeded|dead|retrying)"`),
		done:   map[string]bool{},
	}
}

// longest is more than an ending takes: so much of what was written is kept for one that is written in two halves.
const longest = 1 << 10

// kills reports whether what is being written is a job's first end.
func (c *crasher) kills(b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.ending.FindAllSubmatch(b, -1) {
		if job := string(m[1]); !c.done[job] {
			c.done[job] = true
			return true
		}
	}
	return false
}

func (c *crasher) killed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.done)
}

// connect gives a connection for one process, and what is closed when that is dead.
func (c *crasher) connect(url string) (*nats.Conn, <-chan struct{}, error) {
	d := &mortal{crasher: c, dead: make(chan struct{})}
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.SetCustomDialer(d),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	return nc, d.dead, err
}

// mortal dials for one process, while it lives.
type mortal struct {
	crasher *crasher
	once    sync.Once
	dead    chan struct{}
}

// Dial implements [nats.CustomDialer].
func (d *mortal) Dial(network, address string) (net.Conn, error) {
	select {
	case <-d.dead:
		return nil, errCrashed
	default:
	}
	conn, err := net.Dial(network, address) //nolint:noctx // the interface has no context
	if err != nil {
		return nil, err
	}
	return &mortalConn{Conn: conn, d: d}, nil
}

// mortalConn is a connection of a process. nats.go writes to it under a lock of its own.
type mortalConn struct {
	net.Conn
	d    *mortal
	tail []byte
}

// Write implements [net.Conn].
func (c *mortalConn) Write(b []byte) (int, error) {
	all := append(c.tail, b...) //nolint:gocritic // tail is cut from it anew
	if c.d.crasher.kills(all) {
		c.d.once.Do(func() { close(c.d.dead) })
		_ = c.Close()
		return 0, errCrashed
	}
	c.tail = append([]byte(nil), all[max(0, len(all)-longest):]...)
	return c.Conn.Write(b)
}
