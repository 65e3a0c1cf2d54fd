package discord

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"handoff/services/notifier/internal/notice"
)

const (
	// maxWait bounds how long a far side can have a notice put off.
	maxWait = time.Hour
	// patience is how long a notice waits for its turn here. Beyond, it goes back to the queue.
	patience = 10 * time.Second
)

// pace keeps to Discord's rate limit, which is a few messages in two seconds for each webhook. Without it a burst of new users
// would use up its attempts on refusals, and Discord shuts out addresses that collect too many of them.
type pace struct {
	mu   sync.Mutex
	next time.Time // when the next request may leave
}

func newPace() *pace { return &pace{} }

// wait returns when a request may leave, or a LaterError when that is too long from now.
func (p *pace) wait(ctx context.Context) error {
	for {
		d := p.left()
		if d <= 0 {
			return nil
		}
		later := &notice.LaterError{After: d, Err: errors.New("the rate limit of Discord is used up")}
		if deadline, ok := ctx.Deadline(); d > patience || ok && time.Until(deadline) <= d {
			return later
		}
		timer := time.NewTimer(d)
		select {
		case <-timer.C: // look again: another answer may have put it off meanwhile
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

func (p *pace) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.next)
}

// hold lets no request leave for d.
func (p *pace) hold(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := time.Now().Add(d); t.After(p.next) {
		p.next = t
	}
}

// note reads from an answer whether it has used up the limit.
func (p *pace) note(h http.Header) {
	if h.Get("X-RateLimit-Remaining") != "0" {
		return
	}
	if d, ok := headerSeconds(h, "X-RateLimit-Reset-After"); ok {
		p.hold(d)
	}
}

// retryAfter reads how long a 429 asks to be left alone: by its header, or by the field of Discord's body. A time that is
// over, or none, says nothing: to come back at once would use up the attempts in a moment.
func retryAfter(h http.Header, field float64) (time.Duration, bool) {
	if d, ok := headerSeconds(h, "Retry-After"); ok && d > 0 {
		return d, true
	}
	if t, err := http.ParseTime(h.Get("Retry-After")); err == nil && time.Until(t) > 0 {
		return min(time.Until(t), maxWait), true
	}
	d, ok := seconds(field)
	return d, ok && d > 0
}

func headerSeconds(h http.Header, key string) (time.Duration, bool) {
	f, err := strconv.ParseFloat(h.Get(key), 64)
	if err != nil {
		return 0, false
	}
	return seconds(f)
}
