package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"handoff/shared/event"
	"handoff/shared/stream"
)

// Config says whose tasks a [Worker] does.
type Config struct {
	Service string       // the service's name, as in the table of package stream
	Logger  *slog.Logger // default slog.Default()
	// Grace is how long running handlers may go on once Run's context has ended. Default 10 s.
	Grace time.Duration
	// Metrics is where the worker's metrics are registered; nil for nowhere.
	Metrics prometheus.Registerer
}

// Spec says how one task is run. Its zero fields are replaced by the defaults.
type Spec struct {
	Task        string        // the task's name, for people
	Concurrency int           // how many run at once: slots that no other task takes. Default 8
	Attempts    int           // how many attempts there are before the task is dead. Default 8
	Timeout     time.Duration // how long one attempt may take. Default 30 s
	// TimeoutGrace is how long a handler may go on after its context has ended before its slot is taken from it. Default 5 s.
	TimeoutGrace time.Duration
	// Backoff bounds the wait before the next attempt.
	Backoff Backoff
}

// Backoff is exponential with full jitter: before attempt n+1 passes a random time of up to Base·2^(n-1), at most Max.
type Backoff struct {
	Base time.Duration // default 1 s
	Max  time.Duration // default 5 min
}

func (b Backoff) delay(attempt int, random func(int64) int64) time.Duration {
	limit := b.Max
	if shift := max(0, attempt-1); shift < 62 && b.Base <= b.Max>>shift {
		limit = b.Base << shift
	}
	return time.Duration(random(int64(limit) + 1))
}

func (s Spec) withDefaults() Spec {
	s.Concurrency = cmp.Or(s.Concurrency, 8)
	s.Attempts = cmp.Or(s.Attempts, 8)
	s.Timeout = cmp.Or(s.Timeout, 30*time.Second)
	s.TimeoutGrace = cmp.Or(s.TimeoutGrace, 5*time.Second)
	s.Backoff.Base = cmp.Or(s.Backoff.Base, time.Second)
	s.Backoff.Max = cmp.Or(s.Backoff.Max, 5*time.Minute)
	return s
}

// A HandlerFunc does one task. Its result is stored as JSON, at most [event.MaxResult] bytes.
type HandlerFunc[P event.Payload, R any] func(ctx context.Context, e event.Event[P]) (R, error)

// task is a handler without its types.
type task struct {
	spec    Spec
	durable stream.Durable
	bare    Handler // as it was given
	run     Handler // in the worker's middleware
}

// Worker runs the handlers of one service. Make it with [New], give it handlers with [Handle], then [Worker.Run] it.
type Worker struct {
	cfg    Config
	log    *slog.Logger
	nc     *nats.Conn
	link   *link
	bucket *bucket
	tasks  map[event.Type]*task
	errs   []error // of Handle, reported by Run

	middleware []Middleware // the first is outermost

	clock     clock
	held      registry
	abandoned atomic.Int64
	fail      context.CancelCauseFunc // ends Run
	metrics   *metrics
	status    status
}

// New makes a worker on nc, which should have been connected by package daemon: it must reconnect for ever and keep no
// buffer while it does. Close nc only after Run has returned.
func New(nc *nats.Conn, cfg Config) *Worker {
	cfg.Grace = cmp.Or(cfg.Grace, 10*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Worker{
		cfg: cfg, log: cfg.Logger, nc: nc, tasks: map[event.Type]*task{},
		clock: clock{local: time.Now}, held: registry{held: map[string]*holder{}}, metrics: newMetrics(cfg.Metrics, cfg.Service),
	}
}

// Handle gives w the handler of one task: that for events with payload P. A service runs one task per type of event; a
// second for the same type, or one that package stream has no consumer for, makes [Worker.Run] fail.
func Handle[P event.Payload, R any](w *Worker, spec Spec, h HandlerFunc[P, R]) {
	var p P
	typ := p.EventType()
	if w.tasks[typ] != nil {
		w.errs = append(w.errs, fmt.Errorf("service %s: a second handler for %s", w.cfg.Service, typ))
		return
	}
	durable, ok := stream.DurableOf(w.cfg.Service, typ)
	if !ok {
		w.errs = append(w.errs, fmt.Errorf("service %s is asked for nothing by %s: add it to the table of shared/stream", w.cfg.Service, typ))
		return
	}
	w.tasks[typ] = newTask(durable, spec, h)
}

func newTask[P event.Payload, R any](durable stream.Durable, spec Spec, h HandlerFunc[P, R]) *task {
	return &task{
		spec: spec.withDefaults(), durable: durable,
		bare: func(ctx context.Context, t *Task) (json.RawMessage, error) {
			data, err := event.DecodeData[P](&t.Envelope)
			if err != nil {
				return nil, Permanent(err)
			}
			result, err := h(ctx, event.Event[P]{Envelope: t.Envelope, Service: t.Service, Attempt: t.Attempt, Data: data})
			if err != nil {
				return nil, err
			}
			return encodeResult(result)
		},
	}
}

func encodeResult(result any) (json.RawMessage, error) {
	b, err := json.Marshal(result)
	switch {
	case err != nil:
		return nil, Permanent(fmt.Errorf("encode the result: %w", err))
	case string(b) == "null" || string(b) == "{}":
		return nil, nil
	}
	return b, resultFits(b)
}

// Run does tasks until ctx ends, then lets what runs finish within the grace period, gives back what does not, and
// returns nil. It waits for NATS, its consumer and its bucket for as long as it takes. It returns an error when it was
// set up wrongly, when so many handlers ignore their context that the process should be replaced, or after a panic of its own.
func (w *Worker) Run(ctx context.Context) error {
	if err := errors.Join(w.errs...); err != nil {
		return err
	}
	if len(w.tasks) == 0 {
		return fmt.Errorf("service %s has no handlers", w.cfg.Service)
	}
	for _, t := range w.tasks {
		t.run = w.wrap(t.bare)
	}
	js, err := jetstream.New(w.nc, jetstream.WithPublishAsyncMaxPending(1<<14), jetstream.WithPublishAsyncTimeout(stream.AckWait))
	if err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	defer js.CleanupPublisher()
	w.link = newLink(w.nc)
	defer w.link.close()
	w.bucket = newBucket(js, w.nc, &w.clock, w.cfg.Service)

	defer w.hearOfCancels()()

	ctx, w.fail = context.WithCancelCause(ctx)
	defer w.fail(nil)
	// Handlers run on a context that outlives the signal by the grace period.
	hard, release := context.WithCancelCause(context.WithoutCancel(ctx))
	defer release(nil)
	stop := context.AfterFunc(ctx, func() {
		w.status.stop()
		time.AfterFunc(w.cfg.Grace, func() { release(ErrShutdown) })
	})
	defer stop()

	var wg sync.WaitGroup
	for _, l := range w.lanes(js) {
		wg.Go(func() { w.guard(func() { l.run(ctx, hard) }) })
	}
	wg.Wait()
	var fault *PanicError
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errAbandoned), errors.As(cause, &fault):
		return cause
	}
	return nil
}

// guard makes a panic of the worker's own the end of Run, with an error: whoever runs several workers in one process can start
// this one again. What it held is taken over.
func (w *Worker) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			w.fail(&PanicError{Value: v, Stack: debug.Stack()})
		}
	}()
	f()
}

// lanes makes one lane for each task.
func (w *Worker) lanes(js jetstream.JetStream) []*lane {
	var all []*lane
	for _, t := range w.tasks {
		l := &lane{w: w, js: js, stream: t.durable.Stream, durable: t.durable.Name, slots: t.spec.Concurrency}
		l.init()
		w.status.set(l.name(), errStarting, time.Now())
		all = append(all, l)
	}
	return all
}

// Ready says what the worker waits for; nil when it takes work.
func (w *Worker) Ready() error {
	if err := w.status.err(); err != nil {
		return err
	}
	if !w.nc.IsConnected() { // a lane with no free slot does not look
		return errNoConnection
	}
	return nil
}

func random(n int64) int64 { return rand.Int64N(n) }
