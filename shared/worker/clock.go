package worker

import (
	"sync/atomic"
	"time"
)

// clock tells the server's time. What is due, and was due, is judged and written by that one clock: those of the hosts may differ by
// minutes, and a retry would wait for the difference.
type clock struct {
	local func() time.Time
	ahead atomic.Int64 // of the local one
}

func (c *clock) now() time.Time {
	return c.local().Round(0).Add(time.Duration(c.ahead.Load())).UTC()
}

// observe takes note of what the server's clock said between two moments of the local one.
func (c *clock) observe(asked, answered, server time.Time) {
	if !server.IsZero() {
		c.ahead.Store(int64(ahead(asked, answered, server)))
	}
}

// ahead is by how much the server's clock is ahead of the local one; 0 when they may well agree.
func ahead(asked, answered, server time.Time) time.Duration {
	asked, answered = asked.Round(0), answered.Round(0)
	if !server.Before(asked) && !server.After(answered) {
		return 0
	}
	return server.Sub(asked.Add(answered.Sub(asked) / 2))
}
