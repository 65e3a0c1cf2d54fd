package relay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/stream"
)

const (
	codeMaxBytes     = 10077
	codeInsufficient = 10023 // the server's own limit

	lookEvery  = 100 * time.Millisecond // while accepts wait for room
	lookAnyway = 10 * time.Second       // others may write to the stream by hand
	// overhead is more than a message takes in a stream beside its subject, id, own headers and data.
	overhead = 192
)

// A room is what accepts may still take of a stream: nine tenths of its limit. The rest is for entries, which trim needs to make room.
type room struct {
	left  int64     // bytes
	asked time.Time // when the stream was asked; zero: nothing is known
	short time.Time // since when accepts have waited; zero: they don't
	need  int64     // what the first of them takes
}

// none reports whether there is no use in trying.
func (r *room) none() bool { return !r.short.IsZero() && r.need > r.left }

// due reports whether the stream should be asked.
func (r *room) due(now time.Time) bool {
	switch {
	case r.asked.IsZero():
		return true
	case r.short.IsZero():
		return now.Sub(r.asked) >= lookAnyway
	}
	return now.Sub(r.asked) >= lookEvery
}

// heard takes what the stream said: its limit (not positive: none) and its size, in which what is under way may be missing.
func (r *room) heard(now time.Time, limit int64, size uint64, underWay int64) {
	r.asked, r.left = now, math.MaxInt64
	if limit > 0 {
		r.left = limit/10*9 - int64(min(size, math.MaxInt64/2)) - underWay //nolint:gosec // bounded by min
	}
}

// take takes room for an accept, if there is any.
func (r *room) take(now time.Time, size int64) bool {
	if size > r.left {
		if r.short.IsZero() {
			r.short = now
		}
		r.need = size
		return false
	}
	r.left -= size
	r.short = time.Time{}
	return true
}

// size is at least what the message takes in the stream.
func (m *message) size() int64 {
	n := overhead + len(m.subject) + len(m.id) + len(m.data)
	for k, v := range m.header {
		n += len(k) + len(v) + len(": \r\n")
	}
	return int64(n)
}

// lookForRoom asks the stream how full it is, now and then.
func (l *lane) lookForRoom(ctx context.Context) error {
	if l.stream == stream.Dead || !l.room.due(time.Now()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.limits.AskTimeout)
	defer cancel()
	s, err := l.js.Stream(ctx, l.stream)
	if err != nil {
		return fmt.Errorf("ask how full %s is: %w", l.stream, err)
	}
	underWay := int64(0)
	for i := range l.window {
		if !l.window[i].done {
			underWay += l.window[i].size()
		}
	}
	info := s.CachedInfo()
	l.room.heard(time.Now(), info.Config.MaxBytes, info.State.Bytes, underWay)
	return nil
}

// fitting gives how many of the accepts, from the first on, the stream has room for, and takes it.
func (l *lane) fitting(accepts []message) int {
	size, now := 0, time.Now()
	for i := range accepts {
		m := &accepts[i]
		if size > l.limits.WindowBytes/2 || !m.done && !l.room.take(now, m.size()) {
			return i
		}
		size += len(m.data)
	}
	return len(accepts)
}

// crowded says that accepts wait for room, once they have done so for a while: a stream that is worked off is over nine tenths again
// and again.
func (l *lane) crowded() string {
	if l.room.short.IsZero() || time.Since(l.room.short) < l.limits.Patience {
		return ""
	}
	return fmt.Sprintf("room in the stream: %s is over 90 %% of its limit, the rest is for tasks that are asked for again", l.stream)
}

func noRoom(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == codeMaxBytes || api.ErrorCode == codeInsufficient)
}

// entriesWait reports whether an entry is still to be published.
func (l *lane) entriesWait() bool {
	for i := range l.window {
		if l.window[i].entry && !l.window[i].done {
			return true
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries) > 0
}
