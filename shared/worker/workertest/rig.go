package workertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"handoff/shared/daemon"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// patience is how long anything is waited for.
const patience = time.Minute

// Run does a service's work until ctx ends, as the services' own Run functions do.
type Run func(ctx context.Context, p *daemon.Process) error

// Handler is a service that has one handler only.
func Handler[P event.Payload, R any](service string, spec worker.Spec, h worker.HandlerFunc[P, R], use ...worker.Middleware) Run {
	return func(ctx context.Context, p *daemon.Process) error {
		w := worker.New(p.NATS, worker.Config{Service: service, Logger: p.Log, Grace: p.Grace, Metrics: p.Metrics})
		w.Use(use...)
		worker.Handle(w, spec, h)
		p.ReadyWhen(w.Ready)
		return w.Run(ctx)
	}
}

// A Rig is a NATS server and a service on it. Its methods fail the test when something does not come to pass.
type Rig struct {
	testing.TB
	service string
	run     Run
	server  *natstest.Server
	js      jetstream.JetStream
	events  map[string]*event.Envelope // what was asked for, by job
}

// Start runs a service on a server of its own until the test ends.
func Start(t testing.TB, service string, run Run) *Rig {
	t.Helper()
	r := newRig(t, service, run)
	p := r.begin(r.server.Connect(), time.Second)
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

func newRig(t testing.TB, service string, run Run) *Rig {
	t.Helper()
	server := natstest.Run(t)
	return &Rig{TB: t, service: service, run: run, server: server, js: server.JetStream(), events: map[string]*event.Envelope{}}
}

// process is the service at work.
type process struct {
	gather prometheus.Gatherer
	cancel context.CancelFunc
	ended  chan struct{}
	err    error
}

func (r *Rig) begin(nc *nats.Conn, grace time.Duration) *process {
	metrics := prometheus.NewRegistry()
	p := &daemon.Process{
		Log:  slog.New(slog.NewTextHandler(r.Output(), nil)),
		NATS: nc, Metrics: metrics, Gather: metrics, Grace: grace,
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := &process{gather: metrics, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(run.ended)
		run.err = r.run(ctx, p)
	}()
	r.Cleanup(func() { _ = run.stop() })
	return run
}

// stop ends the process and gives what its Run has returned.
func (p *process) stop() error {
	p.cancel()
	<-p.ended
	return p.err
}

// abandoned is how many handlers have gone on after the end of their context.
func (p *process) abandoned() (int, error) {
	families, err := p.gather.Gather()
	if err != nil {
		return 0, err
	}
	for _, f := range families {
		if f.GetName() == "handoff_handlers_abandoned" {
			return int(f.GetMetric()[0].GetGauge().GetValue()), nil
		}
	}
	return 0, errors.New("the service has no metrics of its worker: it must be given those of its process")
}

// JetStream is for looking at what the service has left in NATS.
func (r *Rig) JetStream() jetstream.JetStream { return r.js }

// Ask sends the event of a job for the service, or for the services that are named. A job that was asked for before is asked for
// once more: the server takes it for another message.
func (r *Rig) Ask(job string, p event.Payload, services ...string) {
	r.Helper()
	if len(services) == 0 {
		services = []string{r.service}
	}
	e, err := event.New(job, time.Now(), p, services...)
	if err != nil {
		r.Fatal(err)
	}
	r.events[job] = e
	r.send(stream.Subject(e.Type, services), e, nil)
}

// Redrive asks once more for a job that has ended, as the api does when somebody wants it done again.
func (r *Rig) Redrive(job string) {
	r.Helper()
	record, err := r.record(job)
	if err != nil || record == nil || r.events[job] == nil {
		r.Fatalf("redrive %s: its record is %+v (%v)", job, record, err)
	}
	e := r.events[job]
	r.send(stream.RetrySubject(r.service, e.Type), e, nats.Header{stream.HeaderGeneration: {strconv.Itoa(record.Generation + 1)}})
}

func (r *Rig) send(subject string, e *event.Envelope, header nats.Header) {
	r.Helper()
	b, err := e.Encode()
	if err != nil {
		r.Fatal(err)
	}
	msg := nats.NewMsg(subject)
	msg.Data = b
	maps.Copy(msg.Header, header)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := r.js.PublishMsg(ctx, msg); err != nil {
		r.Fatalf("publish %s: %v", e.ID, err)
	}
}

// Await gives the job's record once reached says so. It shows reached what it sees on the way, which is not every state there was.
func (r *Rig) Await(job string, reached func(*event.Record) bool) *event.Record {
	r.Helper()
	record, err := r.await(job, reached)
	if err != nil {
		r.Fatal(err)
	}
	return record
}

// AwaitEnd gives the record that the job's task ends with.
func (r *Rig) AwaitEnd(job string) *event.Record {
	r.Helper()
	return r.Await(job, func(record *event.Record) bool { return record.State.Ended() })
}

func (r *Rig) await(job string, reached func(*event.Record) bool) (*event.Record, error) {
	var record *event.Record
	ok := eventually(func() bool {
		seen, err := r.record(job)
		if err != nil || seen == nil { // NATS may be away
			return false
		}
		record = seen
		return reached(record)
	})
	if !ok {
		return nil, fmt.Errorf("job %s stays at %+v", job, record)
	}
	return record, nil
}

// record reads a job's record; nil when there is none.
func (r *Rig) record(job string) (*event.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	kv, err := r.js.KeyValue(ctx, stream.Bucket(r.service))
	if err != nil {
		return nil, err
	}
	entry, err := kv.Get(ctx, job)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return event.DecodeRecord(entry.Value())
}

// setAckWait changes after how long the server gives up on a delivery that nobody keeps alive.
func (r *Rig) setAckWait(d time.Duration) {
	r.Helper()
	for _, durable := range stream.Durables() {
		if durable.Service != r.service {
			continue
		}
		c, err := r.js.Consumer(context.Background(), durable.Stream, durable.Name)
		if err != nil {
			r.Fatal(err)
		}
		cfg := c.CachedInfo().Config
		cfg.AckWait = d
		if _, err := r.js.UpdateConsumer(context.Background(), durable.Stream, cfg); err != nil {
			r.Fatal(err)
		}
	}
}

func eventually(ok func() bool) bool {
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
