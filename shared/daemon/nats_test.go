package daemon_test

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"handoff/shared/daemon"
	"handoff/shared/natstest"
)

func connect(t *testing.T, url string) (*nats.Conn, *output) {
	t.Helper()
	var log output
	nc, err := daemon.Connect(url, "mailer", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc, &log
}

func TestConnectBeforeTheServerIsThere(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	url := srv.URL()
	srv.Stop()
	nc, log := connect(t, url)
	if nc.IsConnected() || nc.Publish("user.created", nil) == nil {
		t.Error("something was kept for a server that is not there")
	}
	waitFor(t, func() bool { return strings.Contains(log.String(), "Waiting for NATS") })
	srv.Restart()
	waitFor(t, nc.IsConnected)
	waitFor(t, func() bool { return strings.Contains(log.String(), `msg="Connected to NATS" url=`+url) })
	if n := strings.Count(log.String(), "Waiting for NATS"); n != 1 {
		t.Errorf("it says %d times what it waits for:\n%s", n, log.String())
	}
	srv.Stop()
	waitFor(t, func() bool { return strings.Contains(log.String(), "Connection to NATS lost") })
	srv.Restart()
	waitFor(t, func() bool { return strings.Contains(log.String(), "Connected to NATS again") })
	if nc.Opts.Name != "mailer" || !strings.HasPrefix(nc.NewInbox(), "_INBOX.mailer.") {
		t.Errorf("the connection is called %s, its inbox %s", nc.Opts.Name, nc.NewInbox())
	}
}

func withUser(t *testing.T, at, password string) *server.Server {
	t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.NewServer(&server.Options{Host: addr.IP.String(), Port: addr.Port, NoLog: true, NoSigs: true, Username: "mailer", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(srv.Shutdown)
	if !srv.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	return srv
}

// Somebody sets a wrong password, at the server or here: it is said, the client goes on trying, and comes when it is put right.
func TestConnectOutlivesRefusedCredentials(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"refused at first": false, "refused later": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := withUser(t, natstest.Addr(t), "s3cr3t")
			addr := strings.TrimPrefix(srv.ClientURL(), "nats://")
			if !first {
				srv.Shutdown()
				srv.WaitForShutdown()
			}
			nc, log := connect(t, "nats://mailer:s3cr3t@"+addr)
			if first {
				waitFor(t, nc.IsConnected)
				srv.Shutdown()
				srv.WaitForShutdown()
			}
			waitFor(t, func() bool { return !nc.IsConnected() })
			wrong := withUser(t, addr, "another")
			waitFor(t, func() bool { return strings.Contains(strings.ToLower(log.String()), "authorization violation") })
			refused := nc.Stats().Reconnects
			waitFor(t, func() bool { return nc.Stats().Reconnects > refused+2 })
			if nc.IsClosed() {
				t.Fatalf("it has given up:\n%s", log.String())
			}
			if n := strings.Count(strings.ToLower(log.String()), "authorization violation"); n > 1 {
				t.Errorf("it says so %d times:\n%s", n, log.String())
			}
			wrong.Shutdown()
			wrong.WaitForShutdown()
			withUser(t, addr, "s3cr3t")
			waitFor(t, nc.IsConnected)
			if strings.Contains(log.String(), "s3cr3t") || strings.Contains(log.String(), "another") {
				t.Errorf("a password is in the log:\n%s", log.String())
			}
		})
	}
}

// A server tells a client that something is forbidden beside the call, which only times out.
func TestWhatIsForbiddenIsSaidAndNotReady(t *testing.T) {
	t.Parallel()
	addr, err := net.ResolveTCPAddr("tcp", natstest.Addr(t))
	if err != nil {
		t.Fatal(err)
	}
	serve := func(may ...string) *server.Server {
		srv, err := server.NewServer(&server.Options{Host: addr.IP.String(), Port: addr.Port, NoLog: true, NoSigs: true, Users: []*server.User{{
			Username: "mailer", Password: "s3cr3t", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: may}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		srv.Start()
		t.Cleanup(srv.Shutdown)
		if !srv.ReadyForConnections(30 * time.Second) {
			t.Fatal("the NATS server is not ready")
		}
		return srv
	}
	srv := serve("allowed")
	nc, log := connect(t, "nats://mailer:s3cr3t@"+addr.String())
	waitFor(t, nc.IsConnected)
	p := &daemon.Process{NATS: nc}
	p.ReadyWhen(func() error { return nil })
	if err := errors.Join(nc.Publish("allowed", nil), nc.Flush(), p.Ready()); err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("forbidden", nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return p.Ready() != nil })
	if why := p.Ready().Error(); !strings.Contains(why, `"forbidden"`) || !strings.Contains(log.String(), "NATS says") {
		t.Errorf("it says %q, and in the log:\n%s", why, log.String())
	}
	srv.Shutdown()
	srv.WaitForShutdown()
	serve("allowed", "forbidden")
	waitFor(t, nc.IsConnected)
	waitFor(t, func() bool { return p.Ready() == nil })
}

func TestConnectRefusesAnAddressWithoutShowingThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"nats://u:s3cr3t/x@host", "nats://u:%zz-s3cr3t@host", "http://u:s3cr3t@host", "ws://u:s3cr3t@a,nats://u:s3cr3t@b", "nats://u:s3cr3t@host:port"} {
		var log output
		_, err := daemon.Connect(url, "mailer", slog.New(slog.NewTextHandler(&log, nil)))
		if daemon.Exit("test", err) != 2 {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error()+log.String(), "s3cr3t") {
			t.Errorf("the password is in: %v\n%s", err, log.String())
		}
	}
}

func TestAPasswordIsNowhereInWhatAProcessSays(t *testing.T) {
	t.Parallel()
	srv := withUser(t, natstest.Addr(t), "s3cr3t")
	addr := strings.TrimPrefix(srv.ClientURL(), "nats://")
	c := start(t, []string{"LOG_LEVEL=debug", "HEALTH_ADDR=127.0.0.1:0", "NATS_URL=nats://mailer:s3cr3t@" + addr})
	url := c.says(`"url":"(http://[^"]+)"`)[1]
	c.says(`"Connected to NATS","service":"probe","url":"nats://127`)
	srv.Shutdown()
	waitFor(t, func() bool { return strings.Contains(get(t, url), "no connection") })
	all := c.stderr.String() + get(t, url) + get(t, strings.Replace(url, "/readyz", "/metrics", 1))
	if strings.Contains(all, "s3cr3t") {
		t.Errorf("it says:\n%s", all)
	}
}
