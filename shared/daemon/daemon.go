package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// A Process is what a service's Run gets of the process that it lives in.
type Process struct {
	Log     *slog.Logger
	NATS    *nats.Conn
	Metrics prometheus.Registerer
	Gather  prometheus.Gatherer
	Grace   time.Duration // how long what runs may go on once the context of Run has ended

	mu       sync.Mutex
	ready    func() error
	stopping bool
}

// ReadyWhen gives the process the service's answer to /readyz: nil when it takes work, else what it waits for.
func (p *Process) ReadyWhen(f func() error) {
	p.mu.Lock()
	p.ready = f
	p.mu.Unlock()
}

// Ready is the answer to /readyz.
func (p *Process) Ready() error {
	p.mu.Lock()
	f, stopping := p.ready, p.stopping
	p.mu.Unlock()
	switch {
	case stopping:
		return errors.New("stopping")
	case f == nil:
		return errors.New("starting")
	case p.NATS != nil && !p.NATS.IsConnected():
		why := errors.New("no connection to NATS")
		if err := p.NATS.LastError(); err != nil {
			why = fmt.Errorf("%w: %w", why, err)
		}
		return errors.Join(why, f())
	}
	err := f()
	if p.NATS != nil {
		// What it may not do only times out where it is tried. The client forgets this at the next connect.
		if refused := p.NATS.LastError(); errors.Is(refused, nats.ErrPermissionViolation) {
			return errors.Join(refused, err)
		}
	}
	return err
}

// stop makes the process unready for good: nothing new should be sent its way.
func (p *Process) stop() {
	p.mu.Lock()
	p.stopping = true
	p.mu.Unlock()
}

// A RunFunc is a service: it runs until ctx ends and returns nil after a clean stop.
type RunFunc[C any] func(ctx context.Context, p *Process, cfg C) error

// Main runs one service as a process and exits. C is the struct of the service's own variables.
func Main[C any](service string, run RunFunc[C]) {
	os.Exit(Exit(service, start(service, run)))
}

// Exit reports err as the reason for a process's end and gives its exit code.
func Exit(name string, err error) int {
	var bad *ConfigError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &bad):
		fmt.Fprintf(os.Stderr, "%s can't start:\n", name)
		fmt.Fprintln(os.Stderr, bad.Error())
		return 2
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	return 1
}

func start[C any](service string, run RunFunc[C]) error {
	flags := flag.NewFlagSet(service, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is said once, by Exit
	health := flags.Bool("health", false, "ask the service that runs with this environment whether it is ready, and exit 0 or 1")
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stdout, "%s is set by environment variables.\n", service)
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return nil
	} else if err != nil {
		return BadConfig(err)
	}
	if flags.NArg() > 0 {
		return BadConfig(fmt.Errorf("unexpected argument %q: everything is set by variables", flags.Arg(0)))
	}
	var common Common
	var own C
	if *health {
		if err := Load(&common); err != nil {
			return errors.New(err.Error()) // exit code 1: Docker knows no other
		}
		return askHealth(context.Background(), common.HealthAddr)
	}
	if err := Load(&common, &own); err != nil {
		return err
	}
	return runProcess(service, &common, func(ctx context.Context, p *Process) error { return run(ctx, p, own) })
}

func runProcess(service string, common *Common, run func(context.Context, *Process) error) error {
	ctx, stop := Signals(context.Background())
	defer stop()
	log := NewLog(common).With("service", service)
	registry := NewRegistry()
	p := &Process{Log: log, Metrics: registry, Gather: registry, Grace: common.Grace}
	defer context.AfterFunc(ctx, p.stop)()
	// The health address outlives the signal, so that a balancer sees how the service stops.
	serving, end := context.WithCancel(context.Background())
	if common.HealthAddr != "" {
		at, done, err := serveHealth(serving, common.HealthAddr, healthHandler(p.Ready, registry))
		if err != nil {
			end()
			return err
		}
		defer func() { <-done }()
		log.Info("Serving health", "url", "http://"+at.String()+"/readyz")
	}
	defer end()
	nc, err := Connect(common.NATSURL, service, log)
	if err != nil {
		return err
	}
	defer nc.Close()
	p.NATS = nc
	log.Info("Starting")
	if err := run(ctx, p); err != nil {
		return err
	}
	log.Info("Stopped")
	return nil
}

// NewRegistry makes a registry with the metrics of the process itself.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Signals gives a context that ends at the first SIGINT or SIGTERM. A second one ends the process at once, until the
// function given is called.
func Signals(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	over, end := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer signal.Stop(signals)
		select {
		case <-signals:
			cancel()
		case <-over.Done():
			return
		}
		select {
		case <-signals:
			fmt.Fprintln(os.Stderr, "Stopped at once by a second signal; what ran will be done again.")
			os.Exit(130)
		case <-over.Done():
		}
	}()
	return ctx, func() {
		cancel()
		end()
	}
}
