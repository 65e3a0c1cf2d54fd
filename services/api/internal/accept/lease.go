package accept

import "time"

// A Lease knows whether this store is ours to accept for.
type Lease interface {
	// Refusing says why it is not, as a clause; empty when it is.
	Refusing() string
}

// Under has everything refused while l says so. It is called before the first request, or never: then nothing is refused.
func (a *Accepter) Under(l Lease) { a.lease = l }

// refused says why nothing is accepted, for whatever domain; nil when it may be.
func (a *Accepter) refused() error {
	if !a.met.Load() {
		return &UnavailableError{Reason: "the store has not met its NATS yet", RetryAfter: time.Second}
	}
	if a.lease == nil {
		return nil
	}
	if why := a.lease.Refusing(); why != "" {
		return &UnavailableError{Reason: why, RetryAfter: 5 * time.Second}
	}
	return nil
}
