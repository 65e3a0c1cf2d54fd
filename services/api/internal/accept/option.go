package accept

import (
	"time"

	"handoff/shared/event"
)

// An Option says when a job may be done.
type Option func(*event.Envelope)

// RunAt has a job wait until then.
func RunAt(t time.Time) Option { return func(e *event.Envelope) { t = t.UTC(); e.Due = &t } }

// NotAfter has a job that has not been begun by then end as dead.
func NotAfter(t time.Time) Option { return func(e *event.Envelope) { t = t.UTC(); e.NotAfter = &t } }

// A Schedule knows how much waits until it is due.
type Schedule interface {
	// Full says why no more should be accepted for a stream that is to wait; empty when more may be.
	Full(stream string) string
}

// By has jobs that are to wait refused while s is full. It is called before the first request, or never: then nothing is refused.
func (a *Accepter) By(s Schedule) { a.schedule = s }
