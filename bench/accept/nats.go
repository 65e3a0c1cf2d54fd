package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	natsPatience = 10 * time.Second
	natsMaxStore = 32 << 30 // more than the api asks for: its streams' own limits count
)

// nats is a server set up as that of the embedded default.
type nats struct{ srv *server.Server }

func startNATS(dir string) (*nats, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName: "bench", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, SyncInterval: time.Second, JetStreamMaxStore: natsMaxStore, JetStreamMaxMemory: 64 << 20,
	})
	if err != nil {
		return nil, fmt.Errorf("make the NATS server: %w", err)
	}
	go srv.Start()
	n := &nats{srv}
	if !srv.ReadyForConnections(natsPatience) {
		n.stop()
		return nil, errors.New("the NATS server does not start")
	}
	return n, nil
}

func (n *nats) url() string { return n.srv.ClientURL() }

func (n *nats) stop() {
	n.srv.Shutdown()
	n.srv.WaitForShutdown()
}
