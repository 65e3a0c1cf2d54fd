package daemon_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"handoff/shared/daemon"
	"handoff/shared/natstest"
)

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}

// get gives "<status> <body>".
func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status + " " + string(b)
}

func TestHealthEndpoints(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	c := start(t, []string{"HEALTH_ADDR=127.0.0.1:0", "NATS_URL=" + srv.URL()})
	base := strings.TrimSuffix(c.says(`"url":"(http://[^"]+)"`)[1], "/readyz")
	waitFor(t, func() bool { return get(t, base+"/readyz") == "200 OK ok\n" })
	if got := get(t, base+"/livez"); got != "200 OK ok\n" {
		t.Errorf("/livez: %s", got)
	}
	if got := get(t, base+"/metrics"); !strings.HasPrefix(got, "200 ") || !strings.Contains(got, "go_goroutines") || !strings.Contains(got, "process_start_time_seconds") {
		t.Errorf("/metrics: %.300s", got)
	}
	if got := get(t, base+"/"); !strings.HasPrefix(got, "404 ") {
		t.Errorf("/: %s", got)
	}
	srv.Stop()
	waitFor(t, func() bool { return strings.Contains(get(t, base+"/readyz"), "no connection to NATS") })
	if got := get(t, base+"/livez"); got != "200 OK ok\n" {
		t.Errorf("/livez without NATS: %s", got)
	}
	srv.Restart()
	waitFor(t, func() bool { return get(t, base+"/readyz") == "200 OK ok\n" })
	c.says(`"Connected to NATS again"`)
}

func TestReadySaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	p := &daemon.Process{}
	if err := p.Ready(); err == nil || err.Error() != "starting" {
		t.Errorf("before ReadyWhen: %v", err)
	}
	nc := natstest.Start(t).Connect()
	p = &daemon.Process{NATS: nc}
	why := errors.New("stream USERS is missing")
	p.ReadyWhen(func() error { return why })
	if err := p.Ready(); !errors.Is(err, why) || err.Error() != why.Error() {
		t.Errorf("connected: %v", err)
	}
	nc.Close()
	if err := p.Ready(); !errors.Is(err, why) || !strings.Contains(err.Error(), "no connection to NATS") {
		t.Errorf("not connected: %v", err)
	}
}

func TestHealthFlag(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	// A proxy that the environment names, and that knows nothing, must not be asked.
	ask := func(t *testing.T, addr string) (code int, stdout, stderr string) {
		t.Helper()
		c := start(t, []string{"HEALTH_ADDR=" + addr, "HTTP_PROXY=http://127.0.0.1:1", "NO_PROXY="}, "-health")
		code = c.exit()
		return code, c.stdout.String(), c.stderr.String()
	}
	for name, host := range map[string]string{"every IPv4 address": "0.0.0.0", "every address": "[::]", "no host": "", "loopback": "127.0.0.1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if host == "[::]" && !hasIPv6(t) {
				t.Skip("no IPv6 here")
			}
			c := start(t, []string{"HEALTH_ADDR=" + host + ":0", "NATS_URL=" + srv.URL()})
			url := c.says(`"url":"http://([^"]+)/readyz"`)[1]
			_, port, err := net.SplitHostPort(url)
			if err != nil {
				t.Fatal(err)
			}
			waitFor(t, func() bool { return strings.HasPrefix(get(t, "http://127.0.0.1:"+port+"/readyz"), "200 ") })
			if code, out, errs := ask(t, host+":"+port); code != 0 || out != "ok\n" || errs != "" {
				t.Errorf("exit code %d, %q, %q", code, out, errs)
			}
			c.signal(os.Interrupt)
			c.exit()
			if code, _, errs := ask(t, host+":"+port); code != 1 || !strings.Contains(errs, "refused") {
				t.Errorf("after its end: exit code %d, %q", code, errs)
			}
		})
	}
	t.Run("unready", func(t *testing.T) {
		t.Parallel()
		c := start(t, []string{"PROBE=wait unready", "HEALTH_ADDR=127.0.0.1:0", "NATS_URL=" + srv.URL()})
		addr := c.says(`"url":"http://([^"]+)/readyz"`)[1]
		waitFor(t, func() bool {
			body := get(t, "http://"+addr+"/readyz")
			return strings.Contains(body, "USERS") && !strings.Contains(body, "no connection")
		})
		if code, _, errs := ask(t, addr); code != 1 || errs != "probe: 503 Service Unavailable: stream USERS is missing\n" {
			t.Errorf("exit code %d, %q", code, errs)
		}
	})
	t.Run("nothing there", func(t *testing.T) {
		t.Parallel()
		if code, _, errs := ask(t, natstest.Addr(t)); code != 1 || !strings.Contains(errs, "refused") {
			t.Errorf("exit code %d, %q", code, errs)
		}
	})
	t.Run("no address", func(t *testing.T) {
		t.Parallel()
		if code, _, errs := ask(t, ""); code != 1 || !strings.Contains(errs, "HEALTH_ADDR is not set") {
			t.Errorf("exit code %d, %q", code, errs)
		}
	})
	t.Run("a wrong address", func(t *testing.T) {
		t.Parallel()
		if code, _, errs := ask(t, "9090"); code != 1 || !strings.Contains(errs, `HEALTH_ADDR is "9090"`) {
			t.Errorf("exit code %d, %q", code, errs)
		}
	})
}

func hasIPv6(t *testing.T) bool {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "[::]:0")
	if err != nil {
		return false
	}
	return ln.Close() == nil
}

func TestHealthAddressIsTaken(t *testing.T) {
	t.Parallel()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := start(t, []string{"HEALTH_ADDR=" + ln.Addr().String()})
	if code := c.exit(); code != 2 || !strings.Contains(c.stderr.String(), "address already in use") {
		t.Errorf("exit code %d; it said:\n%s", code, c.stderr.String())
	}
}
