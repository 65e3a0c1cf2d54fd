package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBackoffIsBoundedAndJittered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := Backoff{
			Base: time.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "base")),
			Max:  time.Duration(rapid.Int64Range(1, int64(30*24*time.Hour)).Draw(t, "max")),
		}
		attempt := rapid.IntRange(0, 200).Draw(t, "attempt")
		want := b.Base // doubled without overflow
		for i := 1; i < attempt && want < b.Max; i++ {
			want *= 2
		}
		want = min(want, b.Max)
		var asked int64
		if got := b.delay(attempt, func(n int64) int64 { asked = n; return n - 1 }); got != want {
			t.Fatalf("at most %s, want %s", got, want)
		}
		if asked != int64(want)+1 {
			t.Fatalf("a random number below %d", asked)
		}
		if got := b.delay(attempt, func(int64) int64 { return 0 }); got != 0 {
			t.Fatalf("at least %s", got)
		}
		if got := b.delay(attempt, rand.Int64N); got < 0 || got > want {
			t.Fatalf("%s", got)
		}
	})
}

func TestSilenceIsByWhicheverClockSaysMore(t *testing.T) {
	t.Parallel()
	now := time.Now()
	if got := since(now, now.Add(time.Second)); got != time.Second {
		t.Errorf("%s", got)
	}
	// A wall clock that was set back: the monotonic one goes on. Without its reading only the wall clock is left.
	if got := since(now.Round(0), now.Add(time.Hour).Round(0)); got != time.Hour {
		t.Errorf("by the wall clock: %s", got)
	}
}

func TestReadyIsWhatEveryLaneSays(t *testing.T) {
	t.Parallel()
	var s status
	now := time.Now()
	if s.err() == nil {
		t.Error("ready before its start")
	}
	s.set("USERS", errStarting, now)
	s.set("CALLS", errStarting, now)
	if !s.set("USERS", nil, now) || s.set("USERS", nil, now) {
		t.Error("news that are none, or the other way round")
	}
	if s.err() == nil {
		t.Error("ready with one lane of two")
	}
	s.set("CALLS", nil, now)
	if err := s.err(); err != nil {
		t.Error(err)
	}
	s.stop()
	if s.err() == nil {
		t.Error("ready at its stop")
	}
}

func TestPanicOfItsOwnEndsTheWorker(t *testing.T) {
	t.Parallel()
	w := New(nil, Config{Service: "mailer"})
	ctx, fail := context.WithCancelCause(t.Context())
	w.fail = fail
	w.guard(func() { panic("fallen") })
	var fault *PanicError
	if cause := context.Cause(ctx); !errors.As(cause, &fault) || !strings.Contains(cause.Error(), "fallen") {
		t.Errorf("Run would end with %v", cause)
	}
}
