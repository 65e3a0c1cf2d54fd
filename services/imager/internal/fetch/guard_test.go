package fetch

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The hook that sees the address really dialled lets nothing through but the public internet, on two ports.
func TestGuardJudgesTheDialledAddress(t *testing.T) {
	t.Parallel()
	g, err := newGuard(nil, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{
		"127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1", "0.0.0.0",
		"224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.0.0.192",
		"169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16",
		"::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1",
		"fd00:ec2::254", "fec0::1", "ff02::1", "2002:7f00:1::", "2001:0:7f00:1::", "100::1", "2001:db8::1", "3fff::1",
		"64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1",
	} {
		if err := g.closed.Control(network(host), net.JoinHostPort(host, "80"), nil); !forbidden(err) {
			t.Errorf("%s: error is %v, want it forbidden", host, err)
		}
	}
	for _, addr := range []string{"1.1.1.1:80", "1.1.1.1:443", "[2606:4700::1]:80"} {
		host, _, _ := net.SplitHostPort(addr)
		if err := g.closed.Control(network(host), addr, nil); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for _, addr := range []string{"1.1.1.1:22", "1.1.1.1:6379", "1.1.1.1:0", "1.1.1.1", "example.com:80"} {
		if err := g.closed.Control("tcp4", addr, nil); !forbidden(err) {
			t.Errorf("%s: error is %v, want it forbidden", addr, err)
		}
	}
}

func network(host string) string {
	if strings.Contains(host, ":") {
		return "tcp6"
	}
	return "tcp4"
}

func TestGuardJudgesTheURL(t *testing.T) {
	t.Parallel()
	g, err := newGuard([]string{"127.0.0.1:9000", "Files.Internal:8443", "[::1]:9000"}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for raw, ok := range map[string]bool{
		"http://example.com/a.jpg":           true,
		"HTTPS://example.com/a.jpg":          true, // url.Parse lowers the scheme
		"https://example.com:443/":           true,
		"http://127.0.0.1:9000/a":            true,
		"http://FILES.internal:8443/a":       true,
		"http://[::1]:9000/a":                true,
		"http://127.0.0.1:9001/a":            false,
		"http://127.1:9000/a":                false,
		"http://files.internal.:8443/a":      false,
		"http://example.com:22/":             false,
		"http://example.com:0/":              false,
		"http://example.com:99999/":          false,
		"http:///a.jpg":                      false,
		"http://:80/a.jpg":                   false,
		"file:///etc/passwd":                 false,
		"gopher://127.0.0.1:6379/_INFO":      false,
		"ftp://example.com/a.jpg":            false,
		"data:image/png;base64,AAAA":         false,
		"//example.com/a.jpg":                false,
		"a.jpg":                              false,
		"http:example.com/a.jpg":             false,
		"http://user@example.com/":           false,
		"http://user:password@example.com/":  false,
		"http://" + strings.Repeat("x", 254): false,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.check(u); (err == nil) != ok || (err != nil && !errors.Is(err, errBlocked)) {
			t.Errorf("%s: error is %v, want allowed to be %v", raw, err, ok)
		}
	}
}

func TestAllowIsExact(t *testing.T) {
	t.Parallel()
	for entry, ok := range map[string]bool{
		"127.0.0.1:8000": true, "localhost:80": true, "[::1]:8000": true, "": true,
		"127.0.0.1": false, "127.0.0.0/8": false, "10.0.0.1:": false, ":8000": false, "http://a:80": false,
		"a:http": false, "a:0": false, "a:70000": false, "::1:8000": false, "a:-1": false,
	} {
		for _, entry := range []string{entry, " " + entry + "\t"} { // as lists are written by hand
			if _, err := New(Config{Allow: []string{entry}}); (err == nil) != ok {
				t.Errorf("%q: error is %v, want accepted to be %v", entry, err, ok)
			}
		}
	}
}
