package worker

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"
)

// Logging writes a line at level when an attempt begins and one when it ends, with how long it took and what came of it. The worker
// itself logs what an operator acts on, which is that a task failed, died or was given back; this is for whoever looks on.
func Logging(log *slog.Logger, level slog.Level) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, t *Task) (json.RawMessage, error) {
			log := log.With("job", t.ID, "task", t.Name, "attempt", t.Attempt)
			if span := TraceParent(ctx); span != "" {
				log = log.With("traceparent", span)
			}
			log.Log(ctx, level, "Attempt begins")
			began := time.Now()
			result, err := next(ctx, t)
			log = log.With("took", time.Since(began).Round(time.Microsecond).String(), "outcome", outcomeOf(err))
			if err != nil {
				log = log.With("error", err.Error())
			}
			log.Log(ctx, level, "Attempt ends")
			return result, err
		}
	}
}

func outcomeOf(err error) string {
	var (
		panicked  *PanicError
		permanent *permanentError
	)
	switch {
	case err == nil:
		return "success"
	case errors.As(err, &panicked):
		return "panic"
	case errors.As(err, &permanent):
		return "permanent error"
	}
	return "error"
}
