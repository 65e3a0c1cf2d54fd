package worker_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"handoff/shared/natstest"
)

// proxy stands between one client and the server, so that this client alone can be cut off.
type proxy struct {
	t      *testing.T
	ln     net.Listener
	server string
	wg     sync.WaitGroup

	mu    sync.Mutex
	off   bool
	conns map[net.Conn]bool
	words []byte // of the client's, after which it hears nothing any more
	mute  bool   // it hears nothing
}

func newProxy(t *testing.T, s *natstest.Server) *proxy {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, ln: ln, server: u.Host, conns: map[net.Conn]bool{}}
	p.wg.Go(p.serve)
	t.Cleanup(func() {
		_ = ln.Close()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) serve() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = c.Close()
			continue
		}
		p.mu.Lock()
		if p.off {
			_, _ = c.Close(), s.Close()
			p.mu.Unlock()
			continue
		}
		p.conns[c], p.conns[s] = true, true
		p.mu.Unlock()
		p.wg.Go(func() { p.pipe(hearing{c, p}, c, s) })
		p.wg.Go(func() { p.pipe(speaking{s, p}, s, c) })
	}
}

// pipe hands on what comes from b to w, which is a.
func (p *proxy) pipe(w io.Writer, a, b net.Conn) {
	_, _ = io.Copy(w, b)
	_, _ = a.Close(), b.Close()
	p.mu.Lock()
	delete(p.conns, a)
	delete(p.conns, b)
	p.mu.Unlock()
}

// hearing is what the client hears.
type hearing struct {
	to io.Writer
	p  *proxy
}

func (h hearing) Write(b []byte) (int, error) {
	h.p.mu.Lock()
	mute := h.p.mute
	h.p.mu.Unlock()
	if mute {
		return len(b), nil
	}
	return h.to.Write(b)
}

// speaking is what the client says.
type speaking struct {
	to io.Writer
	p  *proxy
}

func (s speaking) Write(b []byte) (int, error) {
	s.p.mu.Lock()
	if len(s.p.words) > 0 && bytes.Contains(b, s.p.words) {
		s.p.mute, s.p.words = true, nil
	}
	s.p.mu.Unlock()
	return s.to.Write(b)
}

// muteAfter lets the client hear nothing any more once it has said something: no answer to that, either.
func (p *proxy) muteAfter(words string) {
	p.mu.Lock()
	p.words = []byte(words)
	p.mu.Unlock()
}

// cut closes every connection and lets no new one through.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off = true
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) heal() {
	p.mu.Lock()
	p.off, p.mute = false, false
	p.mu.Unlock()
}

func (p *proxy) connect() *nats.Conn {
	p.t.Helper()
	nc, err := nats.Connect("nats://"+p.ln.Addr().String(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1), nats.IgnoreDiscoveredServers())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(nc.Close)
	return nc
}
