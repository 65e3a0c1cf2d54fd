package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"handoff/bench/internal/embedded"
	"handoff/bench/internal/natsserver"
)

// limits make a day's worth of what a day does.
func limits() map[string]string {
	return map[string]string{
		"NATS_MAX_STORE": "67108864", "JOB_RETENTION": "10s", "LOG_RETENTION": "10s", "NATS_SYNC_INTERVAL": "1s", "UNRELAYED_MAX": "500",
	}
}

// house is every service, each a process, on a NATS server inside this one.
type house struct {
	dir    string
	nats   *natsserver.Server
	api    *embedded.Child
	mailer *embedded.Child
	tasker *embedded.Child
}

func open(ctx context.Context, parent string) (_ *house, err error) {
	h := &house{}
	if h.dir, err = os.MkdirTemp(parent, "handoff-day-"); err != nil {
		return nil, fmt.Errorf("make a data directory: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.nats, err = natsserver.Start(filepath.Join(h.dir, "jetstream")); err != nil {
		return nil, err
	}
	env := limits()
	env["NATS_URL"] = h.nats.URL()
	if h.api, err = embedded.Start(ctx, embedded.Options{Command: embedded.API, Dir: h.dir, Env: env}); err != nil {
		return nil, err
	}
	if h.mailer, err = h.worker(ctx, "mailer"); err != nil {
		return nil, err
	}
	return h, h.startTasker(ctx)
}

// worker starts a service, which serves its health where the api serves HTTP.
func (h *house) worker(ctx context.Context, name string) (*embedded.Child, error) {
	addr, err := embedded.FreeAddr(ctx)
	if err != nil {
		return nil, err
	}
	return embedded.Start(ctx, embedded.Options{
		Command: "services/" + name + "/cmd/" + name, Addr: addr, Dir: h.dir,
		Env: map[string]string{"NATS_URL": h.nats.URL(), "HEALTH_ADDR": addr},
	})
}

func (h *house) startTasker(ctx context.Context) (err error) {
	h.tasker, err = h.worker(ctx, "tasker")
	return err
}

func (h *house) stopTasker() error {
	err := h.tasker.Stop()
	h.tasker = nil
	return err
}

func (h *house) close() error {
	var errs []error
	for _, c := range []*embedded.Child{h.tasker, h.mailer, h.api} {
		if c != nil {
			errs = append(errs, c.Stop())
		}
	}
	if h.nats != nil {
		h.nats.Stop()
	}
	return errors.Join(append(errs, os.RemoveAll(h.dir))...)
}
