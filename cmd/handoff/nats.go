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
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startPatience is how long the server may take to read its streams. A large one is read in seconds.
const startPatience = time.Minute

// embedded is a NATS server in this process, for our services and for whoever connects to its address.
type embedded struct{ srv *server.Server }

func startNATS(ctx context.Context, cfg *config, log *slog.Logger) (*embedded, error) {
	host, portText, err := net.SplitHostPort(cfg.Own.NATSAddr)
	if err != nil {
		return nil, fmt.Errorf("NATS_ADDR: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("NATS_ADDR: %w", err)
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "handoff", Host: host, Port: port, NoSigs: true,
		JetStream: true, StoreDir: filepath.Join(cfg.Own.DataDir, "jetstream"), SyncInterval: cfg.API.SyncInterval,
		// The streams' own limits keep within NATS_MAX_STORE. The server's is twice that: it refuses every change of a stream
		// while what has been promised to streams is above it, as after NATS_MAX_STORE was lowered.
		JetStreamMaxStore: 2 * cfg.API.MaxStore, JetStreamMaxMemory: 64 << 20,
	})
	if err != nil {
		return nil, fmt.Errorf("make the NATS server: %w", err)
	}
	failed := make(chan error, 1)
	srv.SetLoggerV2(natsLog{log, failed}, false, false, false)
	e := &embedded{srv}
	go srv.Start()
	deadline := time.NewTimer(startPatience)
	defer deadline.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case err := <-failed:
			e.stop()
			return nil, fmt.Errorf("start the NATS server (NATS_ADDR=%s, DATA_DIR=%s): %w", cfg.Own.NATSAddr, cfg.Own.DataDir, err)
		case <-ctx.Done():
			e.stop()
			return nil, errors.New("stopped while the NATS server was starting")
		case <-deadline.C:
			e.stop()
			return nil, fmt.Errorf("the NATS server is not ready after %s", startPatience)
		case <-poll.C:
			if srv.Running() && srv.ReadyForConnections(time.Millisecond) && healthy(srv) {
				return e, nil
			}
		}
	}
}

func healthy(srv *server.Server) bool {
	h := srv.Healthz(&server.HealthzOptions{})
	return h != nil && h.StatusCode == http.StatusOK
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
