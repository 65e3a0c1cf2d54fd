package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"handoff/shared/event"
	"handoff/shared/worker"
)

// seen is what middleware has to say, from whatever goroutine.
type seen struct {
	mu    sync.Mutex
	lines []string
}

func (s *seen) add(line string) {
	s.mu.Lock()
	s.lines = append(s.lines, line)
	s.mu.Unlock()
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, ", ")
}

func (s *seen) middleware(name string) worker.Middleware {
	return func(next worker.Handler) worker.Handler {
		return func(ctx context.Context, t *worker.Task) (json.RawMessage, error) {
			s.add(name + " begins")
			result, err := next(ctx, t)
			s.add(name + " ends")
			return result, err
		}
	}
}

func TestTheFirstMiddlewareIsOutermost(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	var s seen
	use := []worker.Middleware{s.middleware("a"), s.middleware("b"), func(next worker.Handler) worker.Handler {
		return func(ctx context.Context, t *worker.Task) (json.RawMessage, error) {
			s.add(t.Service + " " + t.Name + " " + t.Key() + " " + string(t.Data))
			return next(ctx, t)
		}
	}}
	r.start(nil, worker.Spec{}, worker.Config{}, func(context.Context, event.Event[data]) (map[string]int, error) {
		s.add("handler")
		return map[string]int{"n": 1}, nil
	}, use...)
	r.publish("one")
	if rec := r.await("one", event.Succeeded); string(rec.Result) != `{"n":1}` {
		t.Errorf("result %s", rec.Result)
	}
	const want = `a begins, b begins, tasker demo one.tasker {"duration_ms":1}, handler, b ends, a ends`
	if s.String() != want {
		t.Errorf("went %s, want %s", &s, want)
	}
}

// What middleware returns is what counts, and what it sees is what would be recorded.
func TestMiddlewareDecidesWhatComesOfAnAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	errs := make(chan error, 10)
	use := func(next worker.Handler) worker.Handler {
		return func(ctx context.Context, t *worker.Task) (json.RawMessage, error) {
			switch t.ID {
			case "refused":
				return nil, worker.Permanent(errors.New("not on a Sunday"))
			case "answered":
				return json.RawMessage(`{"from":"a cache"}`), nil
			case "garbled":
				return json.RawMessage(`{"from":`), nil
			case "too-large":
				return json.RawMessage(`"` + strings.Repeat("a", event.MaxResult) + `"`), nil
			case "panics-itself":
				panic("in the middleware")
			}
			result, err := next(ctx, t)
			errs <- err
			return result, err
		}
	}
	r.start(nil, worker.Spec{Attempts: 1}, worker.Config{}, func(_ context.Context, e event.Event[data]) (map[string]int, error) {
		if e.ID != "panics" {
			t.Errorf("job %s was run", e.ID)
		}
		panic("in the handler")
	}, use)
	for id, want := range map[string]string{
		"refused": "not on a Sunday", "garbled": "no JSON", "too-large": "bytes of JSON",
		"panics-itself": "panic: in the middleware", "panics": "panic: in the handler", "bad-payload": "duration_ms",
	} {
		r.publish(id, func(e *event.Envelope) {
			if id == "bad-payload" {
				e.Data = []byte(`{"duration_ms":-1}`)
			}
		})
		if rec := r.await(id, event.Dead); !strings.Contains(rec.Error, want) {
			t.Errorf("%s: %s", id, rec.Error)
		}
	}
	r.publish("answered")
	if rec := r.await("answered", event.Succeeded); string(rec.Result) != `{"from":"a cache"}` {
		t.Errorf("result %s", rec.Result)
	}
	panics := 0
	for range 2 {
		var p *worker.PanicError
		if err := <-errs; errors.As(err, &p) {
			panics++
			if p.Value != "in the handler" || !bytes.Contains(p.Stack, []byte("middleware_test.go")) {
				t.Errorf("%v", p)
			}
		} else if !errors.Is(err, event.ErrUndecodable) {
			t.Errorf("middleware saw %v", err)
		}
	}
	if panics != 1 {
		t.Errorf("middleware saw %d panics, want 1", panics)
	}
}

func TestTracingAndLogging(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	var buf lockedBuffer
	log := slog.New(slog.NewJSONHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug}))
	got := make(chan string, 10)
	r.start(nil, worker.Spec{Attempts: 1}, worker.Config{}, func(ctx context.Context, e event.Event[data]) (map[string]int, error) {
		got <- worker.TraceParent(ctx)
		switch e.ID {
		case "fails":
			return nil, worker.RetryAfter(time.Hour, errors.New("boom"))
		case "is-refused":
			return nil, worker.Permanent(errors.New("boom"))
		case "panics":
			panic("boom")
		}
		return nil, nil
	}, worker.Tracing(), worker.Logging(log, slog.LevelDebug))

	r.publish("traced", func(e *event.Envelope) { e.TraceParent = "00-" + trace + "-00f067aa0ba902b7-01" })
	r.await("traced", event.Succeeded)
	span := <-got
	if !strings.HasPrefix(span, "00-"+trace+"-") || !strings.HasSuffix(span, "-01") || strings.Contains(span, "00f067aa0ba902b7") {
		t.Errorf("the attempt's span is %s", span)
	}
	for _, id := range []string{"fails", "is-refused", "panics"} {
		r.publish(id)
		r.await(id, event.Dead)
	}
	want := map[string]string{"traced": "success", "fails": "error", "is-refused": "permanent error", "panics": "panic"}
	for dec := json.NewDecoder(strings.NewReader(buf.String())); dec.More(); {
		var line struct{ Msg, Job, Task, Outcome, Took, Error, TraceParent string }
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.Task != "demo" || line.Job == "traced" && line.TraceParent != span {
			t.Errorf("%+v", line)
		}
		if line.Msg != "Attempt ends" {
			continue
		}
		if line.Outcome != want[line.Job] || line.Took == "" || (line.Error == "") != (line.Job == "traced") {
			t.Errorf("%+v", line)
		}
		delete(want, line.Job)
	}
	if len(want) > 0 {
		t.Errorf("no line of the end of %v", want)
	}
	if s := worker.TraceParent(t.Context()); s != "" {
		t.Errorf("outside an attempt: %s", s)
	}
}

// lockedBuffer takes lines from any goroutine.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
