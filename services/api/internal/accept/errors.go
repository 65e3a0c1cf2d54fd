package accept

import (
	"errors"
	"time"
)

// ErrTooLarge is returned for an event that would be larger than event.MaxEvent.
var ErrTooLarge = errors.New("event too large")

// ErrNoSpace is returned when there is no room on the disk, or for a user in RECORDS, to keep one more accept. What was accepted
// before is unharmed.
var ErrNoSpace = errors.New("no space left to accept")

// ErrNothingDead is returned for a job of which no task is dead or cancelled: there is nothing to do again.
var ErrNothingDead = errors.New("nothing of the job is dead or cancelled")

// ErrKeyReused is returned for an Idempotency-Key that came with another request before.
var ErrKeyReused = errors.New("idempotency key was used for another request")

// ErrInFlight is returned while a request with the same Idempotency-Key is under way: soon there is an answer to give again.
var ErrInFlight = errors.New("a request with this idempotency key is under way")

// UnavailableError is the error of an accept that is refused for now: nothing was kept, and the same request may pass later.
type UnavailableError struct {
	Reason     string        // for the client: what is in the way, as a clause
	RetryAfter time.Duration // when asking again makes sense
}

// Error implements error.
func (u *UnavailableError) Error() string { return "not accepting: " + u.Reason }
