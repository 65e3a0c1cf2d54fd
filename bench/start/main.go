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
	"handoff/bench/internal/natsserver"
)

func main() { command.Main(run) }

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	return command.Run(ctx, "start", args, errOut, parse, func(ctx context.Context, cfg config) error { return start(ctx, cfg, out) })
}

type config struct {
	users     int
	unrelayed int
	settle    time.Duration
	dir       string
}

func parse(args []string, errOut io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("start", flag.ContinueOnError)
	flags.IntVar(&cfg.users, "users", 1_000_000, "how many users api.db holds, each with a job that has ended")
	flags.IntVar(&cfg.unrelayed, "unrelayed", 100_000, "how many accepts it holds of which NATS has not been told")
	flags.DurationVar(&cfg.settle, "settle", 10*time.Second, "how long memory is watched after NATS has been told of them")
	flags.StringVar(&cfg.dir, "dir", command.DiskDir(), "where data is kept while it runs: on a disk, not in memory")
	err := command.Parse(flags, args, errOut)
	switch {
	case err != nil:
		return config{}, err
	case cfg.users < 1 || cfg.unrelayed < 0:
		return config{}, errors.New("-users and -unrelayed: use at least one user")
	case cfg.settle < 0:
		return config{}, errors.New("-settle: use a time such as 10s")
	}
	return cfg, nil
}

// start fills a store, has an api meet NATS with it, adds what has not been relayed, and measures the next start.
func start(ctx context.Context, cfg config, out io.Writer) (err error) {
	dir, err := os.MkdirTemp(cfg.dir, "handoff-bench-")
	if err != nil {
		return fmt.Errorf("make a data directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	nats, err := natsserver.Start(filepath.Join(dir, "jetstream"))
	if err != nil {
		return err
	}
	defer nats.Stop()
	o := embedded.Options{
		Command: embedded.API, Dir: dir, Data: filepath.Join(dir, "data"),
		// Else it would begin to remove what is too much of a million and a hundred thousand.
		Env: map[string]string{"NATS_URL": nats.URL(), "JOB_MAX": "10000000"},
	}
	if err := embedded.Fill(ctx, o.Data, dir, cfg.users, 0); err != nil {
		return err
	}
	child, err := embedded.Start(ctx, o)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "the first start with this api.db, on a NATS without any data: ready after %s\n", seconds(child.Took))
	if err := errors.Join(err, child.Stop()); err != nil {
		return err
	}
	if cfg.unrelayed > 0 {
		if err := embedded.Fill(ctx, o.Data, dir, 0, cfg.unrelayed); err != nil {
			return err
		}
	}
	if child, err = embedded.Start(ctx, o); err != nil {
		return err
	}
	return errors.Join(measure(ctx, cfg, child, filepath.Join(o.Data, "api.db"), out), child.Stop())
}

// measure reports on a child that has just become ready.
func measure(ctx context.Context, cfg config, child *embedded.Child, path string, out io.Writer) error {
	used, _ := child.CPU()
	ready, err := child.Anonymous()
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	most, relayed := ready, time.Duration(0)
	from := time.Now()
	var settled time.Time
	for settled.IsZero() || time.Since(settled) < cfg.settle {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		now, err := child.Anonymous()
		if err != nil {
			return err
		}
		most = max(most, now)
		if h, err := child.Health(ctx); settled.IsZero() && err == nil && h.Store.Unrelayed == 0 {
			settled, relayed = time.Now(), time.Since(from)
		}
	}
	_, err = fmt.Fprintf(out, `with %d ended jobs, as many users and %d unrelayed accepts, api.db of %d MB: ready after %s (%s of processor time)
resident anonymous memory: %d MB then, %d MB at most; NATS had been told of all %s later
`, cfg.users, cfg.unrelayed, info.Size()>>20, seconds(child.Took), seconds(used), ready>>20, most>>20, seconds(relayed))
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
