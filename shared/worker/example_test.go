package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// A complete service: one connection, one worker, one handler, until the context ends.
func ExampleNew() {
	withNATS(func(nc *nats.Conn) { // a service gets its connection from package daemon
		ctx, stop := context.WithCancel(context.Background())

		w := worker.New(nc, worker.Config{Service: "tasker", Logger: slog.New(slog.DiscardHandler)})
		spec := worker.Spec{Task: "demo-task", Concurrency: 4, Attempts: 8, Timeout: time.Minute}
		worker.Handle(w, spec, func(_ context.Context, e event.Event[event.TaskRequestedData]) (string, error) {
			fmt.Println("doing", e.ID, "for", e.Data.Duration())
			return "done", nil
		})
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()

		ask(nc, "job-1")
		fmt.Println(record(nc, "job-1", event.State.Ended))
		stop()
		fmt.Println("stopped:", <-ended)
	})
	// Output:
	// doing job-1 for 1s
	// succeeded in attempt 1 with "done"
	// stopped: <nil>
}

// Any error is tried again, with backoff. What has happened is told by the attempt's number.
func ExampleHandle() {
	work(func(_ context.Context, e event.Event[event.TaskRequestedData]) (map[string]int, error) {
		if e.Attempt < 3 {
			return nil, errors.New("connection refused")
		}
		return map[string]int{"took_attempts": e.Attempt}, nil
	})
	// Output:
	// succeeded in attempt 3 with {"took_attempts":3}
}

// A far side that says when to come back is left alone until then.
func ExampleRetryAfter() {
	var asked atomic.Int32
	work(func(context.Context, event.Event[event.TaskRequestedData]) (string, error) {
		if asked.Add(1) == 1 {
			return "", worker.RetryAfter(100*time.Millisecond, errors.New("429 Too Many Requests"))
		}
		return "sent", nil
	})
	// Output:
	// succeeded in attempt 2 with "sent"
}

// What no further attempt will mend ends the task at once. It is a dead letter.
func ExamplePermanent() {
	work(func(context.Context, event.Event[event.TaskRequestedData]) (string, error) {
		return "", worker.Permanent(errors.New("there is no such mailbox"))
	})
	// Output:
	// dead in attempt 1: there is no such mailbox
}

// Progress is shown with the job.
func ExampleProgress() {
	work(func(ctx context.Context, _ event.Event[event.TaskRequestedData]) (string, error) {
		worker.Progress(ctx, 50, "resized")
		worker.Progress(ctx, 100, "stored")
		return "kept", nil
	})
	// Output:
	// succeeded in attempt 1 with "kept", at 100 %: stored
}

// Middleware stands around every handler of a worker; the first is outermost.
func ExampleWorker_Use() {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "took" {
			return slog.Attr{}
		}
		return a
	}}))
	notOnSundays := func(next worker.Handler) worker.Handler {
		return func(ctx context.Context, t *worker.Task) (json.RawMessage, error) {
			if t.Time.Weekday() == time.Sunday {
				return nil, worker.Permanent(errors.New("not on Sundays"))
			}
			return next(ctx, t)
		}
	}
	work(func(context.Context, event.Event[event.TaskRequestedData]) (string, error) { return "rung", nil },
		worker.Logging(log, slog.LevelInfo), notOnSundays)
	// Output:
	// level=INFO msg="Attempt begins" job=job-1 task=demo-task attempt=1
	// level=INFO msg="Attempt ends" job=job-1 task=demo-task attempt=1 outcome="permanent error" error="not on Sundays"
	// dead in attempt 1: not on Sundays
}

// work runs a handler on a server of its own, asks it for one job and prints what came of it.
func work[R any](h worker.HandlerFunc[event.TaskRequestedData, R], use ...worker.Middleware) {
	withNATS(func(nc *nats.Conn) {
		ctx, stop := context.WithCancel(context.Background())
		w := worker.New(nc, worker.Config{Service: "tasker", Logger: slog.New(slog.DiscardHandler)})
		w.Use(use...)
		worker.Handle(w, worker.Spec{Task: "demo-task", Backoff: worker.Backoff{Max: 10 * time.Millisecond}}, h)
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		ask(nc, "job-1")
		fmt.Println(record(nc, "job-1", event.State.Ended))
		stop()
		must(<-ended)
	})
}

// ask sends an event, as the api would.
func ask(nc *nats.Conn, job string) {
	sunday := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	e, err := event.New(job, sunday, event.TaskRequestedData{DurationMS: 1000}, "tasker")
	must(err)
	b, err := e.Encode()
	must(err)
	js, err := jetstream.New(nc)
	must(err)
	_, err = js.Publish(context.Background(), stream.Subject(e.Type, e.Services()), b)
	must(err)
}

// record says what the record of a job says, once its state is one that is waited for.
func record(nc *nats.Conn, job string, reached func(event.State) bool) string {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	js, err := jetstream.New(nc)
	must(err)
	kv, err := js.KeyValue(ctx, stream.Bucket("tasker"))
	must(err)
	changes, err := kv.Watch(ctx, job)
	must(err)
	defer func() { must(changes.Stop()) }()
	for {
		select {
		case <-ctx.Done():
			return "nothing came of " + job
		case entry := <-changes.Updates():
			if entry == nil { // all that was there has been seen
				continue
			}
			r, err := event.DecodeRecord(entry.Value())
			must(err)
			if reached(r.State) {
				return says(r)
			}
		}
	}
}

func says(r *event.Record) string {
	s := fmt.Sprintf("%s in attempt %d", r.State, r.Attempt)
	if r.Error != "" {
		s += ": " + r.Error
	}
	if r.Result != nil {
		s += " with " + string(r.Result)
	}
	if r.Progress != nil {
		s += fmt.Sprintf(", at %.0f %%: %s", r.Progress.Percent, r.Progress.Note)
	}
	return s
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// withNATS gives f a connection to a server of its own.
func withNATS(f func(*nats.Conn)) {
	t := &exampleTB{}
	defer t.over()
	f(natstest.Run(t).Connect())
}

// exampleTB is as much of a test as natstest needs: an example has none.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (*exampleTB) Helper()                   {}
func (*exampleTB) Logf(string, ...any)       {}
func (*exampleTB) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (*exampleTB) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (t *exampleTB) Cleanup(f func())        { t.cleanups = append(t.cleanups, f) }
func (t *exampleTB) TempDir() string {
	dir, err := os.MkdirTemp("", "worker-example-")
	must(err)
	t.Cleanup(func() { must(os.RemoveAll(dir)) })
	return dir
}

func (t *exampleTB) over() {
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
}
