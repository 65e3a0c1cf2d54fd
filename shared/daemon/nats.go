package daemon

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Connect connects a service to NATS. It does not wait until NATS is there, reconnects for ever, and keeps nothing back while it
// is away: what is published then fails at once, so that nothing is sent twice. The log says when the connection comes
// and goes, without credentials.
func Connect(rawURL, service string, log *slog.Logger) (*nats.Conn, error) {
	where := redact(rawURL)
	nc, err := nats.Connect(rawURL,
		nats.Name(service), nats.CustomInboxPrefix("_INBOX."+service),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(200*time.Millisecond), nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond),
		nats.ReconnectBufSize(-1), nats.Timeout(2*time.Second), nats.PingInterval(10*time.Second), nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(func(*nats.Conn) { log.Info("Connected to NATS", "url", where) }),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("Connected to NATS again", "url", where) }),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if err != nil && !nc.IsClosed() {
				log.Warn("Connection to NATS lost", "url", where, "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("NATS says", "error", err) // permissions that are missing show here only
		}),
	)
	if err != nil {
		return nil, BadConfig(fmt.Errorf("NATS_URL is %q: %w", where, err))
	}
	if !nc.IsConnected() {
		log.Info("Waiting for NATS", "url", where)
	}
	return nc, nil
}

func redact(rawURL string) string {
	urls := strings.Split(rawURL, ",")
	for i, u := range urls {
		if parsed, err := url.Parse(u); err == nil {
			parsed.User = nil
			urls[i] = parsed.String()
		}
	}
	return strings.Join(urls, ",")
}
