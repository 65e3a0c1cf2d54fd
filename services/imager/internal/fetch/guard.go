package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// errBlocked marks what the guard forbids, wherever in a request it is met.
var errBlocked = errors.New("forbidden by the guard")

func blocked(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errBlocked, fmt.Sprintf(format, args...))
}

// A guard decides where requests may go.
type guard struct {
	allow  map[string]bool // host:port, lower case
	open   net.Dialer      // for what is allowed by name
	closed net.Dialer      // for everything else
}

func newGuard(allow []string, dialTime time.Duration) (*guard, error) {
	public := ssrf.New(
		// The host service of Azure's machines is on an address of the public range.
		ssrf.WithDeniedV4Prefixes(netip.MustParsePrefix("168.63.129.16/32")),
	)
	g := &guard{
		allow:  map[string]bool{},
		open:   net.Dialer{Timeout: dialTime, KeepAlive: -1},
		closed: net.Dialer{Timeout: dialTime, KeepAlive: -1, Control: public.Safe},
	}
	for _, entry := range allow {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		host, port, err := net.SplitHostPort(entry)
		if err != nil || host == "" || !validPort(port) {
			return nil, fmt.Errorf("%q is not an exact host:port such as 127.0.0.1:8000", entry)
		}
		g.allow[address(host, port)] = true
	}
	return g, nil
}

// dial connects to addr, which is a host and port as the URL has them. Connections are not kept, so every request and
// every redirect comes through here.
func (g *guard) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if g.allow[strings.ToLower(addr)] {
		return g.open.DialContext(ctx, network, addr)
	}
	return g.closed.DialContext(ctx, network, addr)
}

// check judges a URL before anything is dialled: what the dialled address cannot tell.
func (g *guard) check(u *url.URL) error {
	host, port := u.Hostname(), u.Port()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return blocked("is not fetched: the scheme must be http or https")
	case u.User != nil:
		return blocked("is not fetched: a user or password in the address is not allowed")
	case host == "" || len(host) > 253:
		return blocked("is not fetched: the host is missing or longer than 253 characters")
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if port != "80" && port != "443" && !g.allow[address(host, port)] {
		return blocked("is not fetched: the port must be 80 or 443, or the operator lists %s in IMAGE_ALLOW",
			net.JoinHostPort(host, port))
	}
	return nil
}

func address(host, port string) string { return strings.ToLower(net.JoinHostPort(host, port)) }

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}
