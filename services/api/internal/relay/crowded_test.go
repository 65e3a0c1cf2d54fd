package relay_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/reissue"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// fullness gives the share of its limit that USERS takes, in percent.
func (r *rig) fullness() uint64 {
	r.t.Helper()
	s, err := r.js.Stream(context.Background(), stream.Users)
	if err != nil {
		r.t.Fatal(err)
	}
	info := s.CachedInfo()
	return 100 * info.State.Bytes / uint64(info.Config.MaxBytes)
}

// purge empties USERS, as trim does when what is in it has ended.
func (r *rig) purge() {
	r.t.Helper()
	s, err := r.js.Stream(context.Background(), stream.Users)
	if err == nil {
		err = s.Purge(context.Background(), jetstream.WithPurgeSequence(s.CachedInfo().State.LastSeq+1))
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// What trim asks again must get in to make room, so accepts leave it a tenth.
func TestAcceptsWaitAtNineTenthsAndEntriesPass(t *testing.T) {
	t.Parallel()
	for name, restarted := range map[string]bool{"from memory": false, "from the store": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, natstest.Run(t))
			r.limits.Patience, r.limits.Unrelayed = time.Millisecond, 200
			r.resize(256 << 10)
			r.start()
			r.two("old")
			all := r.accept(stream.Users, 500, 1000)
			r.until("accepts wait", func() bool { return strings.Contains(r.relay.HeldUpBy(stream.Users), "over 90 %") })
			if restarted {
				r.halt()
				r.start()
				r.until("accepts wait again", func() bool { return strings.Contains(r.relay.HeldUpBy(stream.Users), "over 90 %") })
			}
			r.until("the stream is nearly full", func() bool { return r.fullness() >= 80 })
			if n := r.fullness(); n > 90 {
				t.Errorf("accepts have filled the stream to %d %%", n)
			}
			r.do(func(v *commit.View) error {
				_, err := reissue.Task(v, "old", "notifier", 0)
				return err
			})
			r.noEntries(stream.Users)
			if why := r.relay.Full(stream.Users); why == "" {
				t.Error("more accepts wait than may, and more are taken")
			}
			for r.position(stream.Users) < r.key(all[499]) {
				before := r.position(stream.Users)
				r.purge()
				r.until("more is published", func() bool { return r.position(stream.Users) > before })
				r.until("the stream is as full as may be, or nothing waits", func() bool {
					n, _ := r.relay.Waiting(stream.Users)
					return n == 0 || r.fullness() > 80
				})
			}
			r.until("all is well", func() bool { return r.relay.HeldUpBy(stream.Users) == "" && r.relay.Full(stream.Users) == "" })
		})
	}
}

// A window's worth of answers that are still to come may not lead over the edge either.
func TestAFastLaneDoesNotOvershoot(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.limits.Patience = time.Millisecond
	r.resize(1 << 20)
	r.start()
	all := r.accept(stream.Users, 4000, 700)
	for range 2 {
		r.until("accepts wait", func() bool { return r.relay.HeldUpBy(stream.Users) != "" && r.fullness() >= 80 })
		before := r.position(stream.Users)
		if n := r.fullness(); n > 90 {
			t.Fatalf("%d %%", n)
		}
		r.purge()
		r.until("it goes on", func() bool { return r.position(stream.Users) > before })
	}
	r.resize(16 << 20)
	r.relayed(stream.Users, all[len(all)-1])
	got := r.in(stream.Users)
	if slices.Sort(got); len(slices.Compact(got)) != len(got) {
		t.Error("some were published twice")
	}
}

func TestAStreamThatRefusesEntriesIsSaidTo(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Run(t))
	r.limits.MaxPause = 50 * time.Millisecond
	r.resize(256 << 10)
	r.start()
	r.two("old")
	for { // by hand, to the last byte
		if _, err := r.js.Publish(context.Background(), "user.created", make([]byte, 100), jetstream.WithRetryAttempts(0)); err != nil {
			break
		}
	}
	if r.relay.Refuses(stream.Users) {
		t.Error("nothing was asked for again, and it was refused")
	}
	r.do(func(v *commit.View) error {
		_, err := reissue.Task(v, "old", "notifier", 0)
		return err
	})
	r.until("the entry is refused", func() bool { return r.relay.Refuses(stream.Users) })
	r.purge()
	r.noEntries(stream.Users)
	r.until("entries get in", func() bool { return !r.relay.Refuses(stream.Users) })
}
