package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Connect connects a service to NATS. It does not wait until NATS is there, reconnects for ever (with credentials that are
// refused too: they may be put right there), and keeps nothing back while it is away: what is published then fails at once,
// so that nothing is sent twice. The log says when the connection comes and goes and why there is none, without credentials.
func Connect(rawURL, service string, log *slog.Logger) (*nats.Conn, error) {
	if err := checkNATSURL(rawURL); err != nil {
		return nil, BadConfig(err)
	}
	where := redact(rawURL)
	waiting := &waiting{log: log, where: where, said: map[string]bool{}}
	nc, err := nats.Connect(rawURL,
		nats.Name(service), nats.CustomInboxPrefix("_INBOX."+service),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(waiting.delay),
		nats.ReconnectBufSize(-1), nats.Timeout(2*time.Second), nats.PingInterval(10*time.Second), nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(func(*nats.Conn) {
			level := slog.LevelDebug // that what is there was found is no news
			if waiting.over() {
				level = slog.LevelInfo
			}
			log.Log(context.Background(), level, "Connected to NATS", "url", where)
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			waiting.over()
			log.Info("Connected to NATS again", "url", where)
		}),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if err != nil && !nc.IsClosed() {
				log.Warn("Connection to NATS lost", "url", where, "error", err)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { waiting.say(err) }),
		nats.ErrorHandler(func(nc *nats.Conn, _ *nats.Subscription, err error) {
			if !nc.IsConnected() {
				waiting.say(err)
				return
			}
			log.Warn("NATS says", "error", err) // permissions that are missing show here only
		}),
	)
	if err != nil {
		// The error may quote the address, and with it a password.
		return nil, BadConfig(fmt.Errorf("NATS_URL is %q: it can't be used", where))
	}
	waiting.nc.Store(nc)
	return nc, nil
}

// waiting says why there is no connection: once, not at every attempt.
type waiting struct {
	log   *slog.Logger
	where string
	nc    atomic.Pointer[nats.Conn] // nil until Connect has returned

	mu   sync.Mutex
	said map[string]bool // since the last connection
}

// maxReasons bounds what is said while there is no connection; some reasons hold a port, which is another each time.
const maxReasons = 8

func (w *waiting) say(err error) {
	if errors.Is(err, nats.ErrNoServers) {
		return // no reason: the client has tried all
	}
	reason := strings.ToLower(err.Error()) // client and server write the same differently
	w.mu.Lock()
	known := w.said[reason] || len(w.said) >= maxReasons
	if !known {
		w.said[reason] = true
	}
	w.mu.Unlock()
	if !known {
		w.log.Warn("Waiting for NATS", "url", w.where, "error", err)
	}
}

// over reports whether anything was said since the last connection.
func (w *waiting) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	waited := len(w.said) > 0
	clear(w.said)
	return waited
}

// delay is how long to wait before the servers are tried again. Before the first connection no handler hears of credentials that
// are refused; here they can be seen.
func (w *waiting) delay(int) time.Duration {
	if err := w.nc.Load().LastError(); err != nil && !errors.Is(err, nats.ErrInvalidConnection) {
		w.say(err)
	}
	return 200*time.Millisecond + rand.N(50*time.Millisecond)
}

// checkNATSURL says what is wrong with the addresses in NATS_URL, without what may be a password.
func checkNATSURL(raw string) error {
	websocket := 0
	urls := strings.Split(raw, ",")
	for _, u := range urls {
		u = strings.TrimSpace(u)
		if !strings.Contains(u, "://") {
			u = "nats://" + u
		}
		parsed, err := url.Parse(u)
		if err != nil || parsed.Hostname() == "" {
			return fmt.Errorf("NATS_URL is %q: use addresses such as nats://user:password@host:4222, joined by commas; what is not a letter or digit in a password is written as %%2F and so on", redact(raw))
		}
		switch parsed.Scheme {
		case "nats", "tls":
		case "ws", "wss":
			websocket++
		default:
			return fmt.Errorf("NATS_URL is %q: %s is not one of nats, tls, ws, wss", redact(raw), parsed.Scheme)
		}
	}
	if websocket != 0 && websocket != len(urls) {
		return fmt.Errorf("NATS_URL is %q: either all addresses are ws or wss, or none", redact(raw))
	}
	return nil
}

// redact takes the credentials out of addresses joined by commas. It does not parse, because an address with a password that
// is written wrongly does not: all that could belong to one goes, up to the last @ before the next scheme, and from a
// question mark on.
func redact(raw string) string {
	var groups []string
	for _, u := range strings.Split(raw, ",") {
		if len(groups) > 0 && !strings.Contains(u, "://") {
			groups[len(groups)-1] += "," + u
			continue
		}
		groups = append(groups, u)
	}
	for i, u := range groups {
		scheme, rest, found := strings.Cut(u, "://")
		if !found {
			scheme, rest = "", u
		} else {
			scheme += "://"
		}
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			rest = rest[at+1:]
		}
		rest, _, _ = strings.Cut(rest, "?")
		groups[i] = scheme + rest
	}
	return strings.Join(groups, ",")
}
