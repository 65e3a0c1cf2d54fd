package natstest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/stream"
)

// MaxStore is the room that [Server.Ensure] asks for.
const MaxStore = 256 << 20

// Leftover is the function of a goroutine that a stopped server is known to leave behind, for goleak: it was setting up HISTORY's
// sources.
const Leftover = "github.com/nats-io/nats-server/v2/server.(*stream).trySetupSourceConsumer.func3"

const startPatience = 30 * time.Second

// A Server is an embedded NATS server on a loopback port of its own. It keeps port and directory over [Server.Restart].
type Server struct {
	t    testing.TB
	dir  string
	opts *server.Options
	srv  *server.Server
}

// Start starts an empty server; it is stopped when the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", Addr(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: t.TempDir(), opts: &server.Options{
		Host: addr.IP.String(), Port: addr.Port, JetStream: true, NoLog: true, NoSigs: true,
		JetStreamMaxStore: 4 << 30, JetStreamMaxMemory: 64 << 20,
	}}
	s.opts.StoreDir = s.dir
	s.start()
	t.Cleanup(s.Stop)
	return s
}

// Run starts a server and makes its streams, buckets and consumers.
func Run(t testing.TB) *Server {
	t.Helper()
	s := Start(t)
	s.Ensure()
	return s
}

func (s *Server) start() {
	s.t.Helper()
	srv, err := server.NewServer(s.opts)
	if err != nil {
		s.t.Fatalf("make a NATS server: %v", err)
	}
	srv.Start()
	if !srv.ReadyForConnections(startPatience) {
		s.t.Fatalf("the NATS server is not ready after %s", startPatience)
	}
	addr := srv.ClientURL()
	s.t.Logf("NATS at %s", addr)
	s.srv = srv
}

// URL is where clients connect.
func (s *Server) URL() string { return s.srv.ClientURL() }

// Dir is where it keeps its data.
func (s *Server) Dir() string { return s.dir }

// Stop ends the server; what it has stored stays for [Server.Restart].
func (s *Server) Stop() {
	if s.srv != nil {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
	}
}

// Restart starts the server again, on the same port and directory; a server that runs is stopped first.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.start()
}

// Ensure makes what is missing of streams, buckets and consumers.
func (s *Server) Ensure() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := stream.Ensure(ctx, s.JetStream(), stream.Config{MaxStore: MaxStore, History: true}); err != nil {
		s.t.Fatalf("make the streams: %v", err)
	}
}

// Connect connects as the services do: for ever, and without a buffer while it is away.
func (s *Server) Connect() *nats.Conn {
	s.t.Helper()
	nc, err := nats.Connect(s.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true))
	if err != nil {
		s.t.Fatalf("connect to NATS: %v", err)
	}
	s.t.Cleanup(nc.Close)
	return nc
}

// JetStream is a connection's JetStream context.
func (s *Server) JetStream() jetstream.JetStream {
	s.t.Helper()
	js, err := jetstream.New(s.Connect())
	if err != nil {
		s.t.Fatalf("open JetStream: %v", err)
	}
	return js
}

// Wipe deletes all that a stopped server has stored.
func (s *Server) Wipe() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, "jetstream")); err != nil {
		s.t.Fatalf("delete the NATS server's store: %v", err)
	}
}
