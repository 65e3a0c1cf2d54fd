package discord

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"handoff/services/notifier/internal/notice"
)

func limits(remaining, resetAfter string) http.Header {
	h := http.Header{}
	h.Set("X-RateLimit-Remaining", remaining)
	h.Set("X-RateLimit-Reset-After", resetAfter)
	return h
}

func TestPaceWaitsForTheLimitToBeReset(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"nothing said":    {http.Header{}, 0},
		"some left":       {limits("3", "1.5"), 0},
		"used up":         {limits("0", "1.5"), 1500 * time.Millisecond},
		"used up, no end": {limits("0", ""), 0},
		"nonsense":        {limits("0", "soon"), 0},
		"the past":        {limits("0", "-3"), 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPace()
				p.note(tt.header)
				start := time.Now()
				var all sync.WaitGroup
				for range 5 {
					all.Go(func() {
						if err := p.wait(t.Context()); err != nil {
							t.Errorf("wait: %v", err)
						}
					})
				}
				all.Wait()
				if took := time.Since(start); took != tt.want {
					t.Errorf("waited %v, want %v", took, tt.want)
				}
			})
		})
	}
}

func TestPaceLooksAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		p.hold(2 * time.Second)
		p.hold(time.Second) // takes nothing back
		time.AfterFunc(time.Second, func() { p.hold(3 * time.Second) })
		start := time.Now()
		if err := p.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 4*time.Second {
			t.Errorf("waited %v, want 4s", took)
		}
	})
}

func TestPaceSendsBackWhatWouldWaitTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		p.hold(5 * time.Second)
		short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		var later *notice.LaterError
		if err := p.wait(short); !errors.As(err, &later) || later.After != 5*time.Second {
			t.Errorf("with 3s left: %v, want to be sent back for 5s", err)
		}
		p.hold(time.Minute)
		if err := p.wait(t.Context()); !errors.As(err, &later) || later.After != time.Minute {
			t.Errorf("held for a minute: %v, want to be sent back for 1m", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v to say so", took)
		}
	})
}

func TestPaceEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		p.hold(5 * time.Second)
		stopped := errors.New("stopped by the test")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(stopped) })
		if err := p.wait(ctx); !errors.Is(err, stopped) {
			t.Errorf("wait: %v, want the context's cause", err)
		}
	})
}

func TestPosterHoldsBackAfterA429(t *testing.T) {
	t.Parallel()
	c := startChannel(t, answer(429, `{"retry_after":60}`))
	p := c.poster(t)
	for range 3 {
		if _, err := p.Post(t.Context(), hello()); class(err) == "done" || class(err) == "refused" {
			t.Errorf("Post: %v, want to be put off", err)
		}
	}
	if c.count() != 1 {
		t.Errorf("Discord was asked %d times within the minute, want once", c.count())
	}
}

func TestRetryAfterReadsDates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Truncate(time.Second)
		for at, want := range map[time.Time]time.Duration{
			now.Add(7 * time.Second): 7 * time.Second,
			now.Add(48 * time.Hour):  maxWait,
		} {
			h := http.Header{}
			h.Set("Retry-After", at.UTC().Format(http.TimeFormat))
			if got, ok := retryAfter(h, 0); !ok || got != want {
				t.Errorf("retryAfter(%s) = %v, %v; want %v", at, got, ok, want)
			}
		}
		h := http.Header{}
		h.Set("Retry-After", now.Add(-time.Hour).UTC().Format(http.TimeFormat))
		if got, ok := retryAfter(h, 0); ok {
			t.Errorf("of the past, retryAfter says %v", got)
		}
	})
}
