package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startPatience is how long the server may take to read its streams. A large one is read in seconds.
const startPatience = time.Minute

// How often the server is looked at, and how long it is left alone after it was started again.
const (
	lookEvery  = time.Second
	startPause = 5 * time.Second
)

// embedded is a NATS server in this process, for our services and for whoever connects to its address.
type embedded struct {
	srv *server.Server
	cfg *config
	log *slog.Logger
}

// startNATS starts a server. Have [embedded.keep] look after it.
func startNATS(ctx context.Context, cfg *config, log *slog.Logger) (*embedded, error) {
	e := &embedded{cfg: cfg, log: log}
	return e, e.start(ctx)
}

// keep starts the server again, until ctx ends, whenever it could not write. A stream that it could not write to it writes to no more until
// then, also when there is room on the disk again. Whoever is connected connects again.
func (e *embedded) keep(ctx context.Context) {
	wait := time.NewTimer(lookEvery)
	defer wait.Stop()
	for {
		select {
		case <-wait.C:
		case <-ctx.Done():
			return
		}
		next := lookEvery
		if why := stuck(e.srv); why != "" {
			e.log.Error("NATS could not write, as when its disk is full: it is started again", "error", why)
			e.stop()
			if err := e.start(ctx); err != nil && ctx.Err() == nil {
				e.log.Error("NATS can't be started again yet", "error", err)
			}
			next = startPause
		}
		wait.Reset(next)
	}
}

func (e *embedded) start(ctx context.Context) error {
	cfg, log := e.cfg, e.log
	host, portText, err := net.SplitHostPort(cfg.Own.NATSAddr)
	if err != nil {
		return fmt.Errorf("NATS_ADDR: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return fmt.Errorf("NATS_ADDR: %w", err)
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "handoff", Host: host, Port: port, NoSigs: true,
		JetStream: true, StoreDir: filepath.Join(cfg.Own.DataDir, "jetstream"), SyncInterval: cfg.API.SyncInterval,
		// The streams' own limits keep within NATS_MAX_STORE. The server's is twice that: it refuses every change of a stream
		// while what has been promised to streams is above it, as after NATS_MAX_STORE was lowered.
		JetStreamMaxStore: 2 * cfg.API.MaxStore, JetStreamMaxMemory: 64 << 20,
	})
	if err != nil {
		return fmt.Errorf("make the NATS server: %w", err)
	}
	failed := make(chan error, 1)
	srv.SetLoggerV2(natsLog{log, failed}, false, false, false)
	e.srv = srv
	go srv.Start()
	deadline := time.NewTimer(startPatience)
	defer deadline.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case err := <-failed:
			e.stop()
			return fmt.Errorf("start the NATS server (NATS_ADDR=%s, DATA_DIR=%s): %w", cfg.Own.NATSAddr, cfg.Own.DataDir, err)
		case <-ctx.Done():
			e.stop()
			return errors.New("stopped while the NATS server was starting")
		case <-deadline.C:
			e.stop()
			return fmt.Errorf("the NATS server is not ready after %s", startPatience)
		case <-poll.C:
			if srv.Running() && srv.ReadyForConnections(time.Millisecond) && healthy(srv) {
				return nil
			}
		}
	}
}

func healthy(srv *server.Server) bool {
	h := srv.Healthz(&server.HealthzOptions{})
	return h != nil && h.StatusCode == http.StatusOK
}

// stuck says why the server writes no more; empty when it does.
func stuck(srv *server.Server) string {
	if !srv.JetStreamEnabled() {
		return "JetStream has shut down"
	}
	if h := srv.Healthz(&server.HealthzOptions{}); h != nil && strings.Contains(h.Error, "write error") {
		return h.Error
	}
	return ""
}

func (e *embedded) url() string { return e.srv.ClientURL() }

func (e *embedded) stop() {
	e.srv.Shutdown()
	e.srv.WaitForShutdown()
}

// natsLog has the server write to our log. What it says at info is about itself only, and is debug for us.
type natsLog struct {
	log    *slog.Logger
	failed chan<- error
}

func (l natsLog) Noticef(format string, v ...any) {
	l.log.Debug("NATS says", "text", fmt.Sprintf(format, v...))
}
func (l natsLog) Warnf(format string, v ...any) {
	l.log.Warn("NATS says", "text", fmt.Sprintf(format, v...))
}
func (l natsLog) Errorf(format string, v ...any) {
	l.log.Error("NATS says", "text", fmt.Sprintf(format, v...))
}
func (l natsLog) Debugf(string, ...any) {}
func (l natsLog) Tracef(string, ...any) {}

// Fatalf reports why the server can't start; it does not end the process.
func (l natsLog) Fatalf(format string, v ...any) {
	select {
	case l.failed <- fmt.Errorf(format, v...):
	default:
		l.log.Error("NATS says", "text", fmt.Sprintf(format, v...))
	}
}
