package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"handoff/shared/event"
	"handoff/shared/worker"
)

// TestOutcomes runs one job to where it stays, for each thing that a handler can do.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	type outcome struct {
		name    string
		job     func(*event.Envelope)
		do      func(ctx context.Context, e event.Event[data], run int) (map[string]int, error)
		state   event.State
		attempt int
		runs    int
		error   string // is in the record's
		result  string
		termed  bool
		retryIn time.Duration // at most; exactly when exact
		exact   bool
	}
	boom := errors.New("boom")
	fail := func(context.Context, event.Event[data], int) (map[string]int, error) { return nil, boom }
	cases := []outcome{
		{name: "success", state: event.Succeeded, attempt: 1, runs: 1, result: `{"n":7}`,
			do: func(context.Context, event.Event[data], int) (map[string]int, error) {
				return map[string]int{"n": 7}, nil
			}},
		{name: "nothing-to-say", state: event.Succeeded, attempt: 1, runs: 1,
			do: func(context.Context, event.Event[data], int) (map[string]int, error) { return nil, nil }},
		{name: "success-at-last", state: event.Succeeded, attempt: 3, runs: 3, result: `{"attempt":3}`,
			do: func(_ context.Context, e event.Event[data], run int) (map[string]int, error) {
				if run < 3 {
					return nil, worker.RetryAfter(time.Millisecond, boom)
				}
				return map[string]int{"attempt": e.Attempt}, nil
			}},
		{name: "error", state: event.Retrying, attempt: 1, runs: 1, error: "boom", do: fail, retryIn: time.Hour},
		{name: "retry-after", state: event.Retrying, attempt: 1, runs: 1, error: "boom", retryIn: 30 * time.Minute, exact: true,
			do: func(context.Context, event.Event[data], int) (map[string]int, error) {
				return nil, worker.RetryAfter(30*time.Minute, boom)
			}},
		{name: "permanent", state: event.Dead, attempt: 1, runs: 1, error: "boom", termed: true,
			do: func(context.Context, event.Event[data], int) (map[string]int, error) {
				return nil, worker.Permanent(boom)
			}},
		{name: "used-up", state: event.Dead, attempt: 4, runs: 4, error: "boom", termed: true,
			do: func(context.Context, event.Event[data], int) (map[string]int, error) {
				return nil, worker.RetryAfter(0, boom)
			}},
		{name: "past-its-deadline", state: event.Dead, attempt: 0, runs: 0, error: "deadline", termed: true, do: fail,
			job: func(e *event.Envelope) { at := time.Now().Add(-time.Minute); e.NotAfter = &at }},
		{name: "no-time-to-retry", state: event.Dead, attempt: 1, runs: 1, error: "boom", termed: true,
			job: func(e *event.Envelope) { at := time.Now().Add(time.Minute); e.NotAfter = &at },
			do: func(context.Context, event.Event[data], int) (map[string]int, error) {
				return nil, worker.RetryAfter(time.Hour, boom)
			}},
		{name: "bad-payload", state: event.Dead, attempt: 1, runs: 0, error: "duration_ms", termed: true, do: fail,
			job: func(e *event.Envelope) { e.Data = []byte(`{"duration_ms":-1}`) }},
		{name: "payload-of-another-type", state: event.Dead, attempt: 0, runs: 0, error: "image.requested", termed: true, do: fail,
			job: func(e *event.Envelope) { e.Type = event.ImageRequested }},
		{name: "panic", state: event.Retrying, attempt: 1, runs: 1, error: "outcome_test.go", retryIn: time.Hour,
			do: func(context.Context, event.Event[data], int) (map[string]int, error) { panic("boom") }},
		{name: "goexit", state: event.Retrying, attempt: 1, runs: 1, error: "Goexit", retryIn: time.Hour,
			do: func(context.Context, event.Event[data], int) (map[string]int, error) {
				runtime.Goexit()
				return nil, nil
			}},
		{name: "long-error", state: event.Dead, attempt: 1, runs: 1, error: "aaa", termed: true,
			do: func(context.Context, event.Event[data], int) (map[string]int, error) {
				return nil, worker.Permanent(errors.New(strings.Repeat("a", 100_000)))
			}},
		{name: "large-result", state: event.Dead, attempt: 1, runs: 1, error: "bytes of JSON", termed: true,
			do: func(context.Context, event.Event[data], int) (map[string]int, error) {
				return map[string]int{strings.Repeat("a", event.MaxResult): 1}, nil
			}},
		{name: "progress-that-is-no-number", state: event.Succeeded, attempt: 1, runs: 1,
			do: func(ctx context.Context, _ event.Event[data], _ int) (map[string]int, error) {
				worker.Progress(ctx, math.NaN(), "0 of 0")
				return nil, nil
			}},
		{name: "timeout", state: event.Retrying, attempt: 1, runs: 1, error: "timed out after", retryIn: time.Hour,
			do: func(ctx context.Context, _ event.Event[data], _ int) (map[string]int, error) {
				<-ctx.Done()
				if cause := context.Cause(ctx); !errors.Is(cause, worker.ErrTimeout) {
					return nil, worker.Permanent(cause)
				}
				return nil, ctx.Err()
			}},
	}
	byName := map[string]outcome{}
	for _, c := range cases {
		byName[c.name] = c
	}
	var runs effects
	terms := make(chan *nats.Msg, 100)
	if _, err := r.js.Conn().ChanSubscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.TASKS.tasker", terms); err != nil {
		t.Fatal(err)
	}
	spec := worker.Spec{Attempts: 4, Timeout: 300 * time.Millisecond, Concurrency: len(cases),
		Backoff: worker.Backoff{Base: time.Hour, Max: time.Hour}}
	r.start(nil, spec, worker.Config{}, func(ctx context.Context, e event.Event[data]) (map[string]int, error) {
		if e.Key() != e.ID+".tasker" {
			t.Errorf("key %s of job %s", e.Key(), e.ID)
		}
		return byName[e.ID].do(ctx, e, runs.add(e.ID))
	})
	termed := 0
	for _, c := range cases {
		change := c.job
		if change == nil {
			change = func(*event.Envelope) {}
		}
		r.publish(c.name, change)
		if c.termed {
			termed++
		}
	}
	for _, c := range cases {
		rec := r.await(c.name, c.state)
		if rec.Attempt != c.attempt || runs.of(c.name) != c.runs {
			t.Errorf("%s: attempt %d after %d runs, want %d after %d", c.name, rec.Attempt, runs.of(c.name), c.attempt, c.runs)
		}
		if !strings.Contains(rec.Error, c.error) || (c.error == "") != (rec.Error == "") || len(rec.Error) > event.MaxError {
			t.Errorf("%s: error of %d bytes: %s", c.name, len(rec.Error), rec.Error)
		}
		if string(rec.Result) != c.result {
			t.Errorf("%s: result %s", c.name, rec.Result)
		}
		last := rec.Steps[len(rec.Steps)-1]
		if last.State != c.state || last.Attempt != c.attempt || rec.State.Ended() != (rec.Ended != nil) {
			t.Errorf("%s: last step %+v of %+v", c.name, last, rec)
		}
		if c.state != event.Retrying {
			if rec.Due != nil {
				t.Errorf("%s: due %s", c.name, rec.Due)
			}
			continue
		}
		if in := rec.Due.Sub(last.At); in < 0 || in > c.retryIn || (c.exact && in != c.retryIn) {
			t.Errorf("%s: due %s after its end, want %s", c.name, in, c.retryIn)
		}
	}
	retrying := 0
	for _, c := range cases {
		if c.state == event.Retrying {
			retrying++
		}
	}
	r.eventually(func() bool { // AckWait is long: what is unanswered was nak'd, or would be too many
		pending, unanswered := r.waiting()
		return pending == 0 && unanswered == retrying && len(terms) == termed
	})
}

func TestWhatCannotBeReadIsTerminated(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	terms := make(chan *nats.Msg, 10)
	if _, err := r.js.Conn().ChanSubscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.TASKS.tasker", terms); err != nil {
		t.Fatal(err)
	}
	r.start(nil, worker.Spec{Concurrency: 1}, worker.Config{}, func(_ context.Context, e event.Event[data]) (map[string]int, error) {
		t.Errorf("job %s was run", e.ID)
		return nil, nil
	})
	r.send(&nats.Msg{Subject: "task.requested", Data: []byte("{}")})
	r.send(&nats.Msg{Subject: "task.requested", Data: []byte("\x00")})
	r.send(&nats.Msg{Subject: "task.requested"})
	r.send(&nats.Msg{Subject: "task.requested", Data: []byte(`{"specversion":"2.0","id":"one","source":"me","type":"task.requested","data":{}}`)})
	r.publish("_open") // it would be the bucket's own key
	r.settled()
	for range 5 {
		var advisory struct {
			Reason string `json:"reason"`
		}
		if err := json.Unmarshal((<-terms).Data, &advisory); err != nil || advisory.Reason == "" {
			t.Errorf("terminated for %q, %v", advisory.Reason, err)
		}
	}
}

// What a newer version has added says nothing to this one.
func TestUnknownFieldsAreIgnored(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	r.start(nil, worker.Spec{}, worker.Config{}, func(_ context.Context, e event.Event[data]) (map[string]int, error) {
		return map[string]int{"ms": int(e.Data.DurationMS)}, nil
	})
	r.send(&nats.Msg{Subject: "task.requested", Data: []byte(`{"specversion":"1.0","id":"one","source":"me","type":"task.requested",
		"newer":{"a":1},"data":{"duration_ms":5,"colour":"blue"}}`)})
	if rec := r.await("one", event.Succeeded); string(rec.Result) != `{"ms":5}` {
		t.Errorf("result %s", rec.Result)
	}
}

// Were it not for the maximum, the second attempt would be a random time of up to a day away, and the third of two.
func TestABackoffHasAMaximum(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	r.start(nil, worker.Spec{Backoff: worker.Backoff{Base: 24 * time.Hour, Max: 20 * time.Millisecond}}, worker.Config{},
		func(_ context.Context, e event.Event[data]) (map[string]int, error) {
			if e.Attempt < 4 {
				return nil, errors.New("not yet")
			}
			return nil, nil
		})
	r.publish("one")
	if rec := r.await("one", event.Succeeded); rec.Attempt != 4 {
		t.Errorf("%+v", rec)
	}
}

func TestWhatIsNotAskedForLeavesNoRecord(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	r.start(nil, worker.Spec{}, worker.Config{}, func(_ context.Context, e event.Event[data]) (map[string]int, error) {
		t.Errorf("job %s was run", e.ID)
		return nil, nil
	})
	r.publish("one", func(e *event.Envelope) { e.Tasks = "mailer,notifier" })
	r.settled()
	if rec := r.record("one"); rec != nil {
		t.Errorf("record %+v", rec)
	}
}

func TestAnEventThatNamesNobodyAsksByItsSubject(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	r.start(nil, worker.Spec{}, worker.Config{}, func(context.Context, event.Event[data]) (map[string]int, error) { return nil, nil })
	r.publish("one", func(e *event.Envelope) { e.Tasks = "" })
	r.await("one", event.Succeeded)
	r.settled()
}

func TestRunRefusesAWrongSetup(t *testing.T) {
	t.Parallel()
	do := func(context.Context, event.Event[data]) (map[string]int, error) { return nil, nil }
	for name, c := range map[string]struct {
		service string
		handle  func(*worker.Worker)
		want    string
	}{
		"no handlers": {"tasker", func(*worker.Worker) {}, "no handlers"},
		"a second handler": {"tasker", func(w *worker.Worker) {
			worker.Handle(w, worker.Spec{}, do)
			worker.Handle(w, worker.Spec{}, do)
		}, "second handler"},
		"not in the table": {"mailer", func(w *worker.Worker) { worker.Handle(w, worker.Spec{}, do) }, "shared/stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worker.New(nil, worker.Config{Service: c.service})
			c.handle(w)
			if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Run: %v", err)
			}
			if w.Ready() == nil {
				t.Error("it is ready")
			}
		})
	}
}

func TestNilErrorsStayNil(t *testing.T) {
	t.Parallel()
	if worker.Permanent(nil) != nil || worker.RetryAfter(time.Second, nil) != nil {
		t.Error("an error out of nothing")
	}
	cause := errors.New("cause")
	if !errors.Is(worker.Permanent(cause), cause) || !errors.Is(worker.RetryAfter(time.Second, cause), cause) {
		t.Error("the cause is hidden")
	}
}
