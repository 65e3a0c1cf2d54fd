package relay_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"handoff/services/api/internal/relay"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

func TestAFullStreamHoldsUpItsOwnLaneOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.limits.MaxPause, r.limits.Patience = 50*time.Millisecond, time.Millisecond
	r.resize(64 << 10)
	r.start()
	users := r.accept(stream.Users, 200, 1000)
	r.until("the lane waits", func() bool { return r.relay.HeldUpBy(stream.Users) != "" })
	images := r.accept(stream.Images, 100, 1000)
	r.relayed(stream.Images, images[99])
	if why := r.relay.HeldUpBy(stream.Images); why != "" {
		t.Errorf("the other lane waits for %s", why)
	}
	there := len(r.in(stream.Users))
	if there == 0 || there == 200 {
		t.Fatalf("%d of 200 fit", there)
	}
	if p := r.position(stream.Users); p > r.key(users[there-1]) {
		t.Errorf("the position is %d, above the last acknowledged %d", p, r.key(users[there-1]))
	}
	r.resize(16 << 20)
	r.relayed(stream.Users, users[199])
	got := r.in(stream.Users)
	slices.Sort(got)
	if !slices.Equal(got, users) {
		t.Errorf("the stream holds %d messages, want each of 200 once", len(got))
	}
	r.until("the lane is well", func() bool {
		return r.relay.HeldUpBy(stream.Users) == "" && strings.Contains(r.log.String(), "Relay goes on")
	})
}

// Whoever made the limit smaller than an event can make it larger again: until then what is too large waits, and is not given up.
func TestAMessageThatIsTooLargeHoldsUpItsOwnLaneOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.limits.MaxPause = 50 * time.Millisecond
	limit := func(size int32) {
		s, err := r.js.Stream(t.Context(), stream.Users)
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		cfg.MaxMsgSize = size
		if _, err := r.js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	limit(1000)
	r.start()
	users := append(r.accept(stream.Users, 5, 10), r.accept(stream.Users, 1, 2000)...)
	users = append(users, r.accept(stream.Users, 5, 10)...)
	r.until("the lane waits", func() bool { return strings.Contains(r.relay.HeldUpBy(stream.Users), "size exceeds") })
	images := r.accept(stream.Images, 10, 2000)
	r.relayed(stream.Images, images[9])
	if p := r.position(stream.Users); p > r.key(users[4]) {
		t.Errorf("the position is %d, above what was refused", p)
	}
	limit(1 << 20)
	r.relayed(stream.Users, users[10])
	got := r.in(stream.Users)
	slices.Sort(got)
	if !slices.Equal(got, users) {
		t.Errorf("the stream holds %v, want each of %v once", got, users)
	}
}

func TestAMissingStreamHoldsUpItsOwnLaneOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	ctx := context.Background()
	s, err := r.js.Stream(ctx, stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	if err := r.js.DeleteStream(ctx, stream.Users); err != nil {
		t.Fatal(err)
	}
	r.start()
	users := r.accept(stream.Users, 3000, 10)
	images := r.accept(stream.Images, 100, 10)
	r.relayed(stream.Images, images[99])
	r.until("the lane waits", func() bool { return r.relay.HeldUpBy(stream.Users) != "" })
	if r.position(stream.Users) != 0 {
		t.Error("the position moved over what no stream has")
	}
	if _, err := r.js.CreateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	r.relayed(stream.Users, users[2999])
	got := r.in(stream.Users)
	slices.Sort(got)
	if !slices.Equal(got, users) {
		t.Errorf("the stream holds %d messages, want each of %d once", len(got), len(users))
	}
}

func TestNATSAwayForAWhile(t *testing.T) {
	t.Parallel()
	s := natstest.Run(t)
	r := newRig(t, s)
	r.start()
	var all []string
	for range 2 {
		all = append(all, r.accept(stream.Users, 500, 20)...)
		s.Stop()
		all = append(all, r.accept(stream.Users, 500, 20)...)
		r.until("the lane waits", func() bool { return r.relay.HeldUpBy(stream.Users) != "" })
		s.Restart()
		r.relayed(stream.Users, all[len(all)-1])
	}
	got := r.in(stream.Users)
	slices.Sort(got)
	if !slices.Equal(got, all) {
		t.Errorf("the stream holds %d messages, want each of %d once", len(got), len(all))
	}
}

func TestStopEndsWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	s := natstest.Run(t)
	r := newRig(t, s)
	r.start()
	s.Stop()
	ids := r.accept(stream.Users, 500, 20)
	r.halt() // hangs, if it does not end
	s.Restart()
	r.start()
	r.relayed(stream.Users, ids[499])
}

func TestMoreThanTheQueueHoldsIsReadFromTheStore(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*relay.Limits){
		"by number": func(l *relay.Limits) { l.Window, l.Queue = 32, 100 },
		"by bytes":  func(l *relay.Limits) { l.WindowBytes, l.QueueBytes = 2000, 5000 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, natstest.Run(t))
			set(&r.limits)
			r.start()
			first := r.accept(stream.Users, 10, 50)
			r.relayed(stream.Users, first[9])
			r.gate.set(false)
			all := slices.Concat(first, r.accept(stream.Users, 800, 50))
			if n := r.relay.InMemory(stream.Users); n > 101 {
				t.Errorf("%d accepts in memory", n)
			}
			r.gate.set(true)
			all = append(all, r.accept(stream.Users, 400, 50)...) // while it catches up
			r.relayed(stream.Users, all[len(all)-1])
			all = append(all, r.accept(stream.Users, 10, 50)...) // from the queue again
			r.relayed(stream.Users, all[len(all)-1])
			if got := r.in(stream.Users); !slices.Equal(got, all) {
				t.Errorf("the stream holds %d messages, want %d in order", len(got), len(all))
			}
			if n, size := r.relay.Waiting(stream.Users); n != 0 || size != 0 {
				t.Errorf("still waiting: %d, %d bytes", n, size)
			}
		})
	}
}
