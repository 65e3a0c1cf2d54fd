package tasker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"handoff/shared/event"
)

func request(d time.Duration) event.Event[event.TaskRequestedData] {
	return event.Event[event.TaskRequestedData]{
		Envelope: event.Envelope{ID: "job-1"}, Service: "tasker", Attempt: 1,
		Data: event.TaskRequestedData{DurationMS: d.Milliseconds()},
	}
}

func TestTaskTakesAsLongAsTheEventSays(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, time.Millisecond, 3 * time.Second, time.Hour} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var percents []float64
				task := &Task{log: slog.New(slog.DiscardHandler), progress: func(_ context.Context, p float64, _ string) {
					percents = append(percents, p)
				}}
				start := time.Now()
				got, err := task.Handle(t.Context(), request(d))
				if err != nil {
					t.Fatalf("Handle: %v", err)
				}
				if took := time.Since(start); took != d {
					t.Errorf("it took %v, want %v", took, d)
				}
				if b, _ := json.Marshal(got); string(b) != `{"slept_ms":`+jsonInt(d.Milliseconds())+`}` {
					t.Errorf("result is %s", b)
				}
				if want := []float64{0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100}; !slices.Equal(percents, want) {
					t.Errorf("progress went %v, want %v", percents, want)
				}
			})
		})
	}
}

func jsonInt(n int64) string { b, _ := json.Marshal(n); return string(b) }

func TestTaskEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cancelled := errors.New("cancelled by somebody")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cancelled) })
		task := &Task{log: slog.New(slog.DiscardHandler), progress: func(context.Context, float64, string) {}}
		start := time.Now()
		if _, err := task.Handle(ctx, request(time.Hour)); !errors.Is(err, cancelled) {
			t.Errorf("Handle: %v, want the context's cause", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v to notice, want 1s", took)
		}
	})
}

func TestTaskLogsItsStartAndItsEnd(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	log := slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	task := &Task{log: log, progress: func(context.Context, float64, string) {}}
	if _, err := task.Handle(t.Context(), request(0)); err != nil {
		t.Fatal(err)
	}
	const want = `level=INFO msg="Async task started" job=job-1
level=INFO msg="Async task completed" job=job-1
`
	if buf.String() != want {
		t.Errorf("logged\n%swant\n%s", buf.String(), want)
	}
}
