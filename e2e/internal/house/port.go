package house

import (
	"net"
	"strconv"
	"testing"
)

// Ports are taken from a random one on: suites that begin together have process ids side by side, and would try the same. They lie
// below the range from which systems give ports to clients, so that none is taken between the moment it is found free and the moment a
// program listens on it.
const (
	firstPort = 20_000
	ports     = 12_000
)

// Addr gives an address on the loopback that nobody listens on, each once.
func (h *House) Addr(t testing.TB) string {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for range ports {
		h.port = firstPort + (h.port+1-firstPort)%ports
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(h.port))
		if Free(addr) {
			return addr
		}
	}
	t.Fatal("there is no free port on the loopback")
	return ""
}

// Free reports whether nobody listens on addr.
func Free(addr string) bool {
	ln, err := net.Listen("tcp", addr) //nolint:noctx // it is closed at once
	if err != nil {
		return false
	}
	_ = ln.Close()
	return true
}
