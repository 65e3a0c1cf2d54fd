package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/thejerf/suture/v4"

	"handoff/services/api"
	"handoff/services/imager"
	"handoff/services/mailer"
	"handoff/services/notifier"
	"handoff/services/tasker"
	"handoff/shared/daemon"
)

// services are the five, each started again alone when it fails.
type services struct {
	all  []*service
	tree *suture.Supervisor
	log  *slog.Logger
}

func newServices(cfg *config, log *slog.Logger) *services {
	metrics := daemon.NewRegistry()
	s := &services{log: log}
	s.tree = newTree(s, cfg)
	add(s, cfg, metrics, "api", api.Run, cfg.API)
	add(s, cfg, metrics, "mailer", mailer.Run, cfg.Mailer)
	add(s, cfg, metrics, "notifier", notifier.Run, cfg.Notifier)
	add(s, cfg, metrics, "imager", imager.Run, cfg.Imager)
	add(s, cfg, metrics, "tasker", tasker.Run, cfg.Tasker)
	return s
}

func newTree(s *services, cfg *config) *suture.Supervisor {
	return suture.New("handoff", suture.Spec{
		EventHook: s.report, Timeout: cfg.Common.Grace + stopMargin,
		// After a second failure within a few seconds it waits a second before each further start.
		FailureThreshold: 1, FailureDecay: 5, FailureBackoff: time.Second,
	})
}

func add[C any](s *services, cfg *config, metrics *prometheus.Registry, name string, run daemon.RunFunc[C], own C) {
	log := s.log.With("service", name)
	one := &service{
		name: name, common: cfg.Common, log: log, metrics: metrics, process: make(chan *daemon.Process, 1),
		run: func(ctx context.Context, p *daemon.Process) error { return run(ctx, p, own) },
	}
	s.all = append(s.all, one)
	s.tree.Add(one)
}

// run runs the services until ctx ends. An error is one of configuration, by which one of them can't start.
func (s *services) run(ctx context.Context) error {
	s.log.Info("Starting")
	err := s.tree.Serve(ctx)
	for _, one := range s.all {
		if one.bad != nil {
			return one.bad
		}
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	s.log.Info("Stopped")
	return nil
}

// ready waits until every service takes work; false when ctx ends first.
func (s *services) ready(ctx context.Context) bool {
	for _, one := range s.all {
		select {
		case p := <-one.process:
			for p.Ready() != nil {
				select {
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
					return false
				}
			}
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (s *services) report(e suture.Event) {
	switch e := e.(type) {
	case suture.EventServicePanic:
		s.log.Error("Service panicked and is started again", "service", e.ServiceName, "panic", e.PanicMsg, "stack", e.Stacktrace)
	case suture.EventServiceTerminate:
		s.log.Error("Service failed and is started again", "service", e.ServiceName, "error", e.Err)
	case suture.EventStopTimeout:
		s.log.Error("Service does not stop; what it does will be done again", "service", e.ServiceName)
	}
}

// service is one of the five on a connection of its own.
type service struct {
	name    string
	common  daemon.Common
	log     *slog.Logger
	metrics *prometheus.Registry
	run     func(context.Context, *daemon.Process) error
	process chan *daemon.Process // the first one
	bad     error                // its configuration's fault
}

func (s *service) String() string { return s.name }

// Serve implements [suture.Service].
func (s *service) Serve(ctx context.Context) error {
	nc, err := daemon.Connect(s.common.NATSURL, s.name, s.log)
	if err != nil {
		return err
	}
	defer nc.Close()
	p := &daemon.Process{Log: s.log, NATS: nc, Metrics: s.metrics, Gather: s.metrics, Grace: s.common.Grace}
	select {
	case s.process <- p:
	default:
	}
	err = s.run(ctx, p)
	var bad *daemon.ConfigError
	if errors.As(err, &bad) {
		s.bad = err
		return suture.ErrTerminateSupervisorTree
	}
	return err
}
