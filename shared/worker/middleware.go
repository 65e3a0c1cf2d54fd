package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"

	"handoff/shared/event"
)

// A Task is one attempt at a task as a [Middleware] sees it: the event with its payload still encoded. It is not to be changed.
type Task struct {
	event.Envelope
	Service string // whose task this is
	Name    string // Spec.Task
	Attempt int    // 1 for the first
}

// Key names the effect for the far side; see [event.Event.Key].
func (t *Task) Key() string { return event.Key(t.ID, t.Service) }

// A Handler makes one attempt at a task, whatever its types: [Handle] makes one of a [HandlerFunc]. Its result is JSON; nil for none.
type Handler func(ctx context.Context, t *Task) (json.RawMessage, error)

// A Middleware puts something around handlers, as it is done in net/http: what it returns does its part and calls next, once, or
// not at all. The error that it returns counts as the handler's.
type Middleware func(next Handler) Handler

// Use puts middleware around every handler of w, those that are added later too: the first one is outermost. It is called before
// [Worker.Run].
//
// Around each handler, inside of all middleware, the worker makes a panic an error ([PanicError]) and what can't be decoded a
// permanent one, so that middleware sees what will be recorded. A panic of a middleware fails the attempt, too.
func (w *Worker) Use(m ...Middleware) { w.middleware = append(w.middleware, m...) }

// wrap is h with the worker's middleware around it.
func (w *Worker) wrap(h Handler) Handler {
	h = recovered(h)
	if len(w.middleware) == 0 {
		return h
	}
	for i := len(w.middleware) - 1; i >= 0; i-- {
		h = w.middleware[i](h)
	}
	return recovered(checked(h))
}

// recovered makes a panic of next an error.
func recovered(next Handler) Handler {
	return func(ctx context.Context, t *Task) (result json.RawMessage, err error) {
		defer func() {
			if v := recover(); v != nil {
				result, err = nil, &PanicError{Value: v, Stack: debug.Stack()}
			}
		}()
		return next(ctx, t)
	}
}

// checked refuses a result that a middleware has made and that no record could hold.
func checked(next Handler) Handler {
	return func(ctx context.Context, t *Task) (json.RawMessage, error) {
		result, err := next(ctx, t)
		if err == nil && len(result) > 0 && !json.Valid(result) {
			err = Permanent(fmt.Errorf("the result is no JSON: %.80q", []byte(result)))
		}
		if err == nil {
			err = resultFits(result)
		}
		if err != nil {
			return nil, err
		}
		return result, nil
	}
}

func resultFits(result []byte) error {
	if len(result) > event.MaxResult {
		return Permanent(fmt.Errorf("the result is %d bytes of JSON, at most %d are kept", len(result), event.MaxResult))
	}
	return nil
}
