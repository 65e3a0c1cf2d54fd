package sink

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A Wire is the network between a client and a server. While it is cut, nothing comes through in either direction, and no connection
// ends: what was sent waits, as TCP has it wait.
type Wire struct {
	Addr string

	target string
	mu     sync.Mutex
	cut    chan struct{}     // closed when it is mended; nil while it is whole
	conns  map[net.Conn]bool // nil once it is over
}

// NewWire lays one to target.
func NewWire(t testing.TB, target string) *Wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is there at once
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{Addr: ln.Addr().String(), target: target, conns: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return // it is closed
			}
			all.Go(func() { w.join(conn) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close() // nobody is left to come
		w.over()
		w.Mend()
		all.Wait()
	})
	return w
}

// Cut lets nothing through until Mend.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut == nil && w.conns != nil {
		w.cut = make(chan struct{})
	}
}

// Mend lets through what has been waiting, and whatever comes.
func (w *Wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut != nil {
		close(w.cut)
		w.cut = nil
	}
}

// join is one connection, from its begin to its end.
func (w *Wire) join(near net.Conn) {
	defer w.done(near)
	if !w.open(near) {
		return
	}
	w.pass()
	far, err := net.Dial("tcp", w.target) //nolint:noctx // it is on this machine
	if err != nil {
		return
	}
	defer w.done(far)
	if !w.open(far) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(held{way[1], w}, way[0]) // either end may be gone
			_, _ = way[0].Close(), way[1].Close()   // the other way ends too
		})
	}
	both.Wait()
}

// pass waits while the wire is cut.
func (w *Wire) pass() {
	w.mu.Lock()
	cut := w.cut
	w.mu.Unlock()
	if cut != nil {
		<-cut
	}
}

// held is the end of a wire that writes come out of.
type held struct {
	io.Writer
	w *Wire
}

func (h held) Write(p []byte) (int, error) {
	h.w.pass()
	return h.Writer.Write(p)
}

func (w *Wire) open(conn net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conns == nil {
		return false
	}
	w.conns[conn] = true
	return true
}

func (w *Wire) done(conn net.Conn) {
	_ = conn.Close() // it is over
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, conn)
}

func (w *Wire) over() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}
