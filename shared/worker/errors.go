package worker

import (
	"errors"
	"fmt"
	"time"
)

// Causes with which a handler's context ends; see [context.Cause].
var (
	// ErrReplaced: another process has taken over the claim, what this one does will not be recorded.
	ErrReplaced = errors.New("claim replaced by another process")
	// ErrCancelled: somebody has cancelled the task, and its record says so: what the handler returns will not be recorded. What it
	// has done so far stays done, unless it undoes it before it returns.
	ErrCancelled = errors.New("task cancelled")
	// ErrTimeout: the attempt has run longer than Spec.Timeout.
	ErrTimeout = errors.New("attempt timed out")
	// ErrShutdown: the process stops and the grace period is over; the task is given back.
	ErrShutdown = errors.New("worker shutting down")
	// ErrPaused: this process stood still for so long that somebody else may have taken over; the task is given back.
	ErrPaused = errors.New("process was paused")
)

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks err as one that no further attempt will mend: the task ends as dead at once. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type retryAfterError struct {
	err   error
	after time.Duration
}

func (e *retryAfterError) Error() string { return e.err.Error() }
func (e *retryAfterError) Unwrap() error { return e.err }

// RetryAfter marks err as one after which the next attempt shall come d later, as a far side has asked (a 429's
// Retry-After). RetryAfter(d, nil) is nil.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err: err, after: max(0, d)}
}

// A PanicError is what a handler's panic becomes. It fails the attempt as any other error does.
type PanicError struct {
	Value any
	Stack []byte
}

// errGoexit: what a handler's goroutine leaves that ends without returning.
var errGoexit = errors.New("handler ended its goroutine by runtime.Goexit")

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }
