package imager

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/imager/internal/fetch"
	"handoff/services/imager/internal/objectstore"
	"handoff/services/imager/internal/picture"
	"handoff/services/imager/internal/task"
	"handoff/shared/daemon"
	"handoff/shared/event"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// Config is what the imager can be told, beside what every service can.
type Config struct {
	// Allow lists host:port pairs that may be fetched from although they are not on the public internet, or are on
	// another port than 80 and 443.
	Allow []string `env:"IMAGE_ALLOW"`
	// MaxPixels is how many pixels a picture may have: width times height.
	MaxPixels int64 `env:"IMAGE_MAX_PIXELS" envDefault:"100000000"`
	// Memory bounds the pictures in work, in bytes by their estimates; the files that are fetched or wait to be processed
	// come on top of it.
	Memory int64 `env:"IMAGE_MEMORY" envDefault:"1073741824"`
	// Concurrency is how many pictures are fetched or processed at once; 0 for two for each processor, so that fetching
	// overlaps with processing, but at most one for each 64 MiB of Memory.
	Concurrency int `env:"IMAGE_CONCURRENCY"`
}

// Validate implements [daemon.Validator].
func (c *Config) Validate() error {
	var errs []error
	if _, err := fetch.New(fetch.Config{Allow: c.Allow}); err != nil {
		errs = append(errs, fmt.Errorf("IMAGE_ALLOW: %w", err))
	}
	if c.MaxPixels < 1 {
		errs = append(errs, fmt.Errorf("IMAGE_MAX_PIXELS is %d: use at least 1", c.MaxPixels))
	}
	if c.Memory < 32<<20 {
		errs = append(errs, fmt.Errorf("IMAGE_MEMORY is %d: use bytes, at least 33554432", c.Memory))
	}
	if c.Concurrency < 0 || c.Concurrency > 1024 {
		errs = append(errs, fmt.Errorf("IMAGE_CONCURRENCY is %d: use 0 to 1024", c.Concurrency))
	}
	return errors.Join(errs...)
}

func (c *Config) concurrency() int {
	if c.Concurrency > 0 {
		return c.Concurrency
	}
	const each = 64 << 20
	return int(max(1, min(2*int64(runtime.GOMAXPROCS(0)), c.Memory/each)))
}

// Run processes pictures until ctx ends.
func Run(ctx context.Context, p *daemon.Process, cfg Config) error {
	client, err := fetch.New(fetch.Config{Allow: cfg.Allow})
	if err != nil {
		return daemon.BadConfig(fmt.Errorf("IMAGE_ALLOW: %w", err))
	}
	js, err := jetstream.New(p.NATS)
	if err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	t := task.New(task.Config{
		Fetcher: client, Redact: fetch.Redact,
		Store:  objectstore.New(js, stream.Pictures),
		Limits: picture.Limits{Pixels: cfg.MaxPixels, Memory: min(256<<20, cfg.Memory)},
		Memory: cfg.Memory, Progress: worker.Progress, Log: p.Log,
	})
	if len(cfg.Allow) > 0 {
		p.Log.Info("Pictures may be fetched from listed addresses without a check", "allow", cfg.Allow)
	}

	w := worker.New(p.NATS, worker.Config{Service: "imager", Logger: p.Log, Grace: p.Grace, Metrics: p.Metrics})
	spec := worker.Spec{Task: "process-image", Concurrency: cfg.concurrency(), Attempts: 8, Timeout: time.Minute}
	worker.Handle(w, spec, func(ctx context.Context, e event.Event[event.ImageRequestedData]) (task.Result, error) {
		result, err := t.Handle(ctx, e)
		return result, mark(err)
	})
	p.ReadyWhen(w.Ready)
	return w.Run(ctx)
}

// mark tells the worker what an error says about itself: that it is final, or when to come back.
func mark(err error) error {
	var final interface{ Permanent() bool }
	if errors.As(err, &final) && final.Permanent() {
		return worker.Permanent(err)
	}
	var fetching *fetch.Error
	if errors.As(err, &fetching) && fetching.RetryAfter > 0 {
		return worker.RetryAfter(fetching.RetryAfter, err)
	}
	return err
}
