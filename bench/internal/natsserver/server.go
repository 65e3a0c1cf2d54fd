package natsserver

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	patience = 10 * time.Second
	maxStore = 32 << 30 // more than the api asks for: its streams' own limits count
)

// A Server is a running server. [Server.Stop] must be called in the end.
type Server struct{ srv *server.Server }

// Start starts a server that keeps its data in dir.
func Start(dir string) (*Server, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName: "bench", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, SyncInterval: time.Second, JetStreamMaxStore: maxStore, JetStreamMaxMemory: 64 << 20,
	})
	if err != nil {
		return nil, fmt.Errorf("make the NATS server: %w", err)
	}
	go srv.Start()
	n := &Server{srv}
	if !srv.ReadyForConnections(patience) {
		n.Stop()
		return nil, errors.New("the NATS server does not start")
	}
	return n, nil
}

// URL is where it is reached.
func (n *Server) URL() string { return n.srv.ClientURL() }

// Stop ends the server and waits for it.
func (n *Server) Stop() {
	n.srv.Shutdown()
	n.srv.WaitForShutdown()
}
