package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"handoff/services/api"
	"handoff/services/imager"
	"handoff/services/mailer"
	"handoff/services/notifier"
	"handoff/services/tasker"
	"handoff/shared/daemon"
)

// own is what is set for the process as a whole.
type own struct {
	// NATSAddr is where the embedded NATS server listens.
	NATSAddr string `env:"NATS_ADDR" envDefault:"127.0.0.1:4222"`
	// DataDir holds everything.
	DataDir string `env:"DATA_DIR" envDefault:"data"`
}

// Validate implements [daemon.Validator].
func (o *own) Validate() error {
	var errs []error
	host, port, err := net.SplitHostPort(o.NATSAddr)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || perr != nil || n == 0 {
		errs = append(errs, fmt.Errorf("NATS_ADDR is %q: use host:port, such as 127.0.0.1:4222", o.NATSAddr))
	}
	return errors.Join(errs...)
}

type config struct {
	Common   daemon.Common
	Own      own
	API      api.Config
	Mailer   mailer.Config
	Notifier notifier.Config
	Imager   imager.Config
	Tasker   tasker.Config
}

// syncInterval is how often the embedded server flushes its files to the disk unless it is told otherwise; it bounds what a power cut
// can take.
const syncInterval = time.Second

// stopMargin is what is left of the grace period for the server and the store, once the services have stopped.
const stopMargin = 2 * time.Second

func loadConfig() (*config, error) {
	c := &config{}
	if err := daemon.Load(&c.Common, &c.Own, &c.API, &c.Mailer, &c.Notifier, &c.Imager, &c.Tasker); err != nil {
		return nil, err
	}
	if c.Common.Grace > 2*stopMargin {
		c.Common.Grace -= stopMargin
	}
	if _, set := os.LookupEnv("NATS_SYNC_INTERVAL"); !set {
		c.API.SyncInterval = syncInterval
	}
	if c.API.SamplesURL == "" {
		c.API.SamplesURL = "http://" + dialable(c.API.Addr)
	}
	// So that the example of the README works without a network: the sample picture is served from the loopback, from
	// which the imager would fetch nothing else.
	c.Imager.Allow = append(c.Imager.Allow, dialable(c.API.Addr))
	if c.API.MaxStore == 0 {
		size, err := api.DefaultMaxStore(c.Own.DataDir)
		if err != nil {
			return nil, daemon.BadConfig(err)
		}
		c.API.MaxStore = size
	}
	return c, nil
}

// dialable is where a listening address is reached on this machine.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
