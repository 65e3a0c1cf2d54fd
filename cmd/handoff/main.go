package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"

	"handoff/shared/daemon"
)

func main() { os.Exit(daemon.Exit("handoff", run(os.Stdout))) }

// run runs everything until a signal comes. It prints the addresses that it serves to out.
func run(out io.Writer) error {
	if len(os.Args) > 1 {
		return daemon.BadConfig(fmt.Errorf("unexpected argument %q: everything is set by variables, see .env.example", os.Args[1]))
	}
	cfg, err := loadConfig()
	if err != nil {
		return err
	}
	ctx, stop := daemon.Signals(context.Background())
	defer stop()
	log := daemon.NewLog(&cfg.Common)

	unlock, err := lock(cfg.Own.DataDir)
	if err != nil {
		return daemon.BadConfig(err)
	}
	defer unlock()
	nats, err := startNATS(ctx, cfg, log.With("service", "nats"))
	if err != nil {
		return daemon.BadConfig(err)
	}
	keeping, enough := context.WithCancel(ctx)
	var kept sync.WaitGroup
	kept.Go(func() { nats.keep(keeping) })
	defer func() {
		enough()
		kept.Wait()
		nats.stop()
	}()
	cfg.Common.NATSURL = nats.url()

	services := newServices(cfg, log)
	go func() {
		if services.ready(ctx) {
			greet(out, cfg)
		}
	}()
	return services.run(ctx)
}

// lock makes sure that nobody else uses the data directory.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("DATA_DIR: %w", err)
	}
	l := flock.New(filepath.Join(dir, "handoff.lock"))
	mine, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("DATA_DIR: %w", err)
	}
	if !mine {
		return nil, fmt.Errorf("DATA_DIR is %q: another handoff uses it; stop that one, or choose another directory", dir)
	}
	return func() { _ = l.Unlock() }, nil
}

func greet(out io.Writer, cfg *config) {
	_, _ = fmt.Fprintf(out, `
  API   http://%[1]s       try it at http://%[1]s/docs
  NATS  %[2]s       look in with the nats CLI
  Data  %[3]s

`, dialable(cfg.API.Addr), cfg.Common.NATSURL, cfg.Own.DataDir)
}
