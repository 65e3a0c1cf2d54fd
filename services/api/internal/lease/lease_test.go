package lease_test

import (
	"testing"
	"time"

	"handoff/services/api/internal/lease"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

func TestANewFileFoundsAStore(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	a := begin(t, server, newPath(t))
	a.untilLeading()
	<-a.Decided()
	a.ensure()
	id, err := a.store.Identity()
	if err != nil || id.Store == "" || id.Store != a.Store() {
		t.Errorf("the file holds the store %q, the lease says %q (%v)", id.Store, a.Store(), err)
	}
	if owner, err := stream.Owner(t.Context(), a.js); err != nil || owner != id.Store {
		t.Errorf("the streams belong to %q, want %q (%v)", owner, id.Store, err)
	}
}

// Two new files meet at a new NATS: one founds the store and the other adopts it.
func TestOfTwoNewFilesOneStandsBy(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	a, b := begin(t, server, newPath(t)), begin(t, server, newPath(t))
	oneAtATime(t, func() {
		for _, x := range []*api{a, b} {
			x.until("it is decided", func() bool { return x.Leading() || x.Refusing() == other })
		}
		if a.Leading() == b.Leading() {
			t.Fatalf("leading: %t and %t", a.Leading(), b.Leading())
		}
		leader, standby := a, b
		if b.Leading() {
			leader, standby = b, a
		}
		leader.ensure()
		if a.Store() != b.Store() || a.Store() == "" {
			t.Errorf("they hold the stores %q and %q", a.Store(), b.Store())
		}
		standby.until("it may relay what it has accepted", standby.MayRelay)
		leader.kill()
		standby.untilLeading()
	}, a, b)
}

func TestACleanStopGivesTheLeaseBack(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	a := begin(t, server, newPath(t))
	a.untilLeading()
	a.ensure()
	b := begin(t, server, newPath(t), patient)
	b.untilRefusing(other)
	oneAtATime(t, func() {
		a.stop()
		b.untilLeading()
	}, a, b)
}

// A restart on the same file goes on at once, however its predecessor ended.
func TestARestartDoesNotWait(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	a := begin(t, server, newPath(t))
	a.untilLeading()
	a.ensure()
	for _, end := range []func(){a.kill, func() { a.stop() }} {
		end()
		a = begin(t, server, a.path, patient)
		<-a.Decided()
		if !a.Leading() || a.Refusing() != "" || !a.MayRelay() {
			t.Errorf("at the first decision: leading %t, relaying %t, refusing %q", a.Leading(), a.MayRelay(), a.Refusing())
		}
	}
}

// A copy of the directory, started beside the original, replaces it; the original goes on relaying, takes over again when the copy
// is killed, and no two lead for longer than it takes to hear of it.
func TestACopiedDirectoryReplacesTheOriginal(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	a := begin(t, server, newPath(t))
	a.untilLeading()
	a.ensure()
	b := begin(t, server, copied(t, a.path), patient)
	b.untilLeading()
	a.untilRefusing(other)
	if !a.MayRelay() {
		t.Error("what the original has accepted is stuck")
	}
	oneAtATime(t, func() {
		b.kill()
		a.untilLeading()
	}, a, b)
}

func TestAnOldCopyBecomesCurrentOnceItMay(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	a := begin(t, server, newPath(t))
	a.untilLeading()
	a.ensure()
	a.stop()
	backup := copied(t, a.path)
	for range 3 {
		a = begin(t, server, a.path)
		a.untilLeading()
		a.stop()
	}
	a = begin(t, server, a.path)
	a.untilLeading()
	b := begin(t, server, backup)
	b.untilRefusing(old)
	if b.MayRelay() {
		t.Error("an old copy relays")
	}
	oneAtATime(t, func() {
		a.kill()
		b.untilLeading()
	}, a, b)
	if id, err := b.store.Identity(); err != nil || id.Start != 6 {
		t.Errorf("it is started for the %d. time, want one more than the five of the other (%v)", id.Start, err)
	}
	b.kill()
	b = begin(t, server, b.path)
	<-b.Decided()
	if !b.Leading() || b.Refusing() != "" {
		t.Errorf("started again: leading %t, refusing %q", b.Leading(), b.Refusing())
	}
}

func TestAStrangersNATSIsLeftAlone(t *testing.T) {
	t.Parallel()
	ours, theirs := natstest.Start(t), natstest.Start(t)
	them := begin(t, theirs, newPath(t))
	them.untilLeading()
	them.ensure()
	them.stop()
	us := begin(t, ours, newPath(t))
	us.untilLeading()
	us.ensure()
	us.stop()

	before := lastSequence(t, theirs)
	us = begin(t, theirs, us.path)
	us.untilRefusing(foreign)
	if us.MayRelay() || us.Ready() == nil {
		t.Errorf("at a stranger's: relaying %t, ready: %v", us.MayRelay(), us.Ready())
	}
	us.stop()
	if after := lastSequence(t, theirs); after != before {
		t.Errorf("the stranger's lease was written: %d, before %d", after, before)
	}
	us = begin(t, ours, us.path)
	us.untilLeading()
}

func lastSequence(t testing.TB, server *natstest.Server) uint64 {
	t.Helper()
	s, err := server.JetStream().Stream(t.Context(), stream.BucketStream(stream.Control))
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.LastSeq
}

func TestALostLeaseIsPutBackByWhoHeldIt(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	a := begin(t, server, newPath(t))
	a.untilLeading()
	a.ensure()
	b := begin(t, server, newPath(t))
	b.untilRefusing(other)
	oneAtATime(t, func() {
		for _, bucket := range []bool{false, true, false, true} {
			drop(t, a.js, bucket)
			a.until("the lease is there again", func() bool {
				kv, err := a.js.KeyValue(t.Context(), stream.Control)
				if err != nil {
					return false
				}
				_, err = kv.Get(t.Context(), stream.LeaseKey)
				return err == nil
			})
			a.untilLeading()
			if b.Leading() || b.Refusing() == "" {
				t.Errorf("who stood by leads: %t, refusing %q", b.Leading(), b.Refusing())
			}
		}
	}, a, b)
}

// While NATS is away who led goes on accepting and who stood by does not. After it each is what it was: who stood by had to be
// connected to count.
func TestNATSAwayChangesNothing(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	a := begin(t, server, newPath(t))
	a.untilLeading()
	a.ensure()
	b := begin(t, server, newPath(t))
	b.untilRefusing(other)
	oneAtATime(t, func() {
		server.Stop()
		a.until("it has heard", func() bool { return !a.Leading() && !a.MayRelay() })
		for end := time.Now().Add(takeOver * 4 / 3); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
			if a.Refusing() != "" || b.Refusing() != other || a.Leading() || b.Leading() {
				t.Fatalf("NATS is away: refusing %q and %q, leading %t and %t", a.Refusing(), b.Refusing(), a.Leading(), b.Leading())
			}
		}
		server.Restart()
		a.untilLeading()
		b.until("it may relay again", b.MayRelay)
		if b.Leading() || b.Refusing() != other {
			t.Errorf("who stood by leads: %t, refusing %q", b.Leading(), b.Refusing())
		}
	}, a, b)
}

func TestAStartWithoutNATSAccepts(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	a := begin(t, server, newPath(t))
	a.untilLeading()
	a.ensure()
	a.stop()
	server.Stop()
	a = begin(t, server, a.path)
	a.until("it accepts", func() bool { return a.Refusing() == "" })
	if a.Leading() || a.MayRelay() {
		t.Error("it leads without having asked")
	}
	server.Restart()
	a.untilLeading()
}

// All that NATS holds is deleted: who led makes it again, for the same store.
func TestADeletedNATSIsTakenByWhoLed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	a := begin(t, server, newPath(t))
	a.untilLeading()
	a.ensure()
	b := begin(t, server, newPath(t))
	b.untilRefusing(other)
	id := a.Store()
	oneAtATime(t, func() {
		names := a.js.StreamNames(t.Context())
		for name := range names.Name() {
			if err := a.js.DeleteStream(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		server.Restart()
		a.untilLeading()
		if b.Leading() || a.Store() != id || b.Store() != id {
			t.Errorf("b leads: %t; the stores are %q and %q, want %q", b.Leading(), a.Store(), b.Store(), id)
		}
	}, a, b)
}

func TestReadyOfALeaseThatKnowsNothing(t *testing.T) {
	t.Parallel()
	l := lease.New(lease.Options{NATS: natstest.Start(t).Connect()})
	if l.Ready() == nil || l.Standing() != lease.Outside {
		t.Error("it is ready before anything is known")
	}
}
