package natstest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Addresses are taken from below the range from which systems give ports to clients, so that no connection takes a server's while
// the server is stopped; and from below those of the end-to-end tests.
const (
	firstPort = 10_000
	ports     = 10_000
)

// Addr gives an address of the loopback for a server that a test starts: nobody listens on it, and no client is given its port.
func Addr(t testing.TB) string {
	t.Helper()
	for range ports {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(ports)))
		if free(addr) {
			return addr
		}
	}
	t.Fatal("there is no free port on the loopback")
	return ""
}

func free(addr string) bool {
	ln, err := net.Listen("tcp", addr) //nolint:noctx // it is closed at once
	if err != nil {
		return false
	}
	_ = ln.Close()
	return true
}
