package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"handoff/bench/internal/command"
	"handoff/bench/internal/embedded"
	"handoff/bench/internal/groupcommit"
	"handoff/bench/internal/natsserver"
)

// warmUp is how long is sent before anything is counted.
const warmUp = time.Second

func main() { command.Main(run) }

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	return command.Run(ctx, "accept", args, errOut, parse, func(ctx context.Context, cfg config) error { return accept(ctx, cfg, out) })
}

type config struct {
	duration    time.Duration
	raw         time.Duration
	connections int
	users       int
	workers     bool
	dir         string
}

func parse(args []string, errOut io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("accept", flag.ContinueOnError)
	flags.DurationVar(&cfg.duration, "duration", 10*time.Second, "how long requests are counted, after a second of warming up")
	flags.DurationVar(&cfg.raw, "raw", 3*time.Second, "how long bbolt alone is measured before")
	flags.IntVar(&cfg.connections, "connections", 64, "how many keep-alive connections send, each one request after the other; bbolt alone has as many writers")
	flags.IntVar(&cfg.users, "users", 0, "how many users the store holds before, each with a job that has ended")
	workers := flags.String("workers", "on", "on: the embedded default; off: the api alone, on a NATS server inside this command")
	flags.StringVar(&cfg.dir, "dir", command.DiskDir(), "where data is kept while it runs: on the disk to be measured, not in memory")
	err := command.Parse(flags, args, errOut)
	switch {
	case err != nil:
		return config{}, err
	case cfg.duration <= 0 || cfg.raw <= 0:
		return config{}, errors.New("-duration and -raw: use times such as 10s")
	case cfg.connections < 1 || cfg.connections > 4096:
		return config{}, fmt.Errorf("-connections is %d: use 1 to 4096", cfg.connections)
	case cfg.users < 0:
		return config{}, fmt.Errorf("-users is %d: use 0 or more", cfg.users)
	case *workers != "on" && *workers != "off":
		return config{}, fmt.Errorf("-workers is %q: use on or off", *workers)
	}
	cfg.workers = *workers == "on"
	return cfg, nil
}

// accept measures bbolt alone and then Handoff, and reports.
func accept(ctx context.Context, cfg config, out io.Writer) (err error) {
	dir, err := os.MkdirTemp(cfg.dir, "handoff-bench-")
	if err != nil {
		return fmt.Errorf("make a data directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	o := embedded.Options{Command: embedded.Default, Dir: dir, Data: filepath.Join(dir, "data")}
	if !cfg.workers {
		nats, err := natsserver.Start(filepath.Join(dir, "jetstream"))
		if err != nil {
			return err
		}
		defer nats.Stop()
		o.Command, o.Env = embedded.API, map[string]string{"NATS_URL": nats.URL()}
	}
	if cfg.users > 0 {
		if err := embedded.Fill(ctx, o.Data, dir, cfg.users, 0); err != nil {
			return err
		}
	}
	child, err := embedded.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, child.Stop()) }()

	// Beside the idle child, so that both are measured in one state of the machine.
	raw, err := groupcommit.Run(ctx, filepath.Join(dir, "raw.db"), cfg.connections, cfg.raw)
	if err != nil {
		return err
	}
	if err := printRaw(out, cfg, raw); err != nil || ctx.Err() != nil {
		return err
	}
	return measure(ctx, cfg, child, raw, out)
}

// measure sends as much as is taken, then half of that.
func measure(ctx context.Context, cfg config, child *embedded.Child, raw groupcommit.Result, out io.Writer) error {
	var full, half load
	s := sending{name: "u", connections: cfg.connections, warm: warmUp, d: cfg.duration}
	behind, err := watchLag(ctx, child, func() { full = send(ctx, child.URL, s) })
	if err := errors.Join(err, printLoad(out, cfg, full, raw), printLag(out, behind, full.all)); err != nil || ctx.Err() != nil {
		return err
	}
	s.name, s.rate = "h", full.rate()/2
	behind, err = watchLag(ctx, child, func() { half = send(ctx, child.URL, s) })
	return errors.Join(err, printHalf(out, half), printLag(out, behind, half.all))
}
