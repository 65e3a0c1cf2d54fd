package trim

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// cleared has the tasker's bucket cleared below its 21st record, and tells what is left.
func cleared(t *testing.T, open bool, with func(*Parts)) (left uint64, isOpen bool) {
	t.Helper()
	js := natstest.Run(t).JetStream()
	kv, err := js.KeyValue(t.Context(), stream.Bucket("tasker"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if _, err := kv.PutString(t.Context(), fmt.Sprint("job-", i), "{}"); err != nil {
			t.Fatal(err)
		}
	}
	s, err := js.Stream(t.Context(), stream.BucketStream(stream.Bucket("tasker")))
	if err != nil {
		t.Fatal(err)
	}
	if !open {
		if err := s.Purge(t.Context(), jetstream.WithPurgeSubject(stream.RecordSubject("tasker", stream.OpenKey))); err != nil {
			t.Fatal(err)
		}
	}
	p := Parts{JetStream: js, Log: slog.New(slog.DiscardHandler), Now: time.Now, Open: func() bool { return true }}
	if with != nil {
		with(&p)
	}
	again := []Record{{Job: "job-3", Revision: 5}, {Job: "job-4", Revision: 5}, {Job: "gone", Revision: 7}}
	if err := New(p, Limits{}).clearBucket(t.Context(), s, "tasker", Clearance{Below: 22, Again: again}); err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"job-3", "job-20"} {
		if _, err := kv.Get(t.Context(), key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	_, err = kv.Get(t.Context(), stream.OpenKey)
	return info.State.Msgs, err == nil
}

func TestABucketIsClearedOfAllButItsOpenKeyAndWhatHeldItDown(t *testing.T) {
	t.Parallel()
	if left, open := cleared(t, true, nil); left != 12 || !open {
		t.Errorf("%d records are left, want 10, one that was written again, and the open key: %t", left, open)
	}
}

func TestABucketThatHasLostDataIsLeftAlone(t *testing.T) {
	t.Parallel()
	if left, open := cleared(t, false, nil); left != 30 || open {
		t.Errorf("%d of 30 records are left; the open key was made: %t", left, open)
	}
}

type leader bool

func (l leader) Leading() bool { return bool(l) }

func TestNothingIsPurgedOnceTheGateClosesOrTheLeaseHasGone(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]func(*Parts){
		"gate":  func(p *Parts) { p.Open = func() bool { return false } },
		"lease": func(p *Parts) { p.Leader = leader(false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if left, _ := cleared(t, true, with); left != 31 {
				t.Errorf("%d of 31 records are left", left)
			}
		})
	}
}

// A bucket that is full to the last byte can be cleared though its open key was made by kv.Create, with a shorter header.
func TestAFullBucketIsCleared(t *testing.T) {
	t.Parallel()
	js := natstest.Run(t).JetStream()
	s, err := js.Stream(t.Context(), stream.BucketStream(stream.Bucket("tasker")))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), stream.Bucket("tasker"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if _, err := kv.PutString(t.Context(), fmt.Sprint("job-", i), "{}"); err != nil {
			t.Fatal(err)
		}
	}
	cfg := s.CachedInfo().Config
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxBytes = int64(info.State.Bytes)
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	p := Parts{JetStream: js, Log: slog.New(slog.DiscardHandler), Now: time.Now, Open: func() bool { return true }}
	if err := New(p, Limits{}).clearBucket(t.Context(), s, "tasker", Clearance{Below: 101}); err != nil {
		t.Fatal(err)
	}
	if info, err = s.Info(t.Context()); err != nil || info.State.Msgs != 2 {
		t.Errorf("%d records are left (%v), want the last one and the open key", info.State.Msgs, err)
	}
}
