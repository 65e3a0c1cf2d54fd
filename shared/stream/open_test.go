package stream_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// Trim writes the open key again before it clears a bucket, and a full bucket takes no message that is larger than the one it replaces.
func TestTheOpenKeyCanBeWrittenAgainInAFullBucket(t *testing.T) {
	t.Parallel()
	js := natstest.Run(t).JetStream()
	kv, err := js.KeyValue(t.Context(), stream.Bucket("tasker"))
	if err != nil {
		t.Fatal(err)
	}
	rewritten := map[string]func() error{
		"made":             func() error { return nil },
		"made again":       func() error { return kv.Delete(t.Context(), stream.OpenKey) },
		"made when purged": func() error { return kv.Purge(t.Context(), stream.OpenKey) },
	}
	for name, before := range rewritten {
		if err := before(); err != nil {
			t.Fatal(err)
		}
		if err := stream.Open(t.Context(), js, "tasker"); err != nil {
			t.Fatal(err)
		}
		if err := again(t, js); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// again writes the tasker's open key once more while its bucket is full to the last byte.
func again(t *testing.T, js jetstream.JetStream) error {
	t.Helper()
	s, err := js.Stream(t.Context(), stream.BucketStream(stream.Bucket("tasker")))
	if err != nil {
		t.Fatal(err)
	}
	limit(t, js, s, int64(s.CachedInfo().State.Bytes))
	defer limit(t, js, s, 1<<20)
	subject := stream.RecordSubject("tasker", stream.OpenKey)
	m, err := s.GetLastMsgForSubject(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	if string(m.Data) != "1" {
		t.Errorf("it holds %q", m.Data)
	}
	out := nats.NewMsg(subject)
	out.Data = m.Data
	out.Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprintf("%020d", m.Sequence))
	_, err = js.PublishMsg(t.Context(), out, jetstream.WithRetryAttempts(0))
	return err
}

func limit(t *testing.T, js jetstream.JetStream, s jetstream.Stream, bytes int64) {
	t.Helper()
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = bytes
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

func TestOpeningABucketThatIsOpenWritesNothing(t *testing.T) {
	t.Parallel()
	js := natstest.Run(t).JetStream()
	for range 2 {
		if err := stream.Open(t.Context(), js, "mailer"); err != nil {
			t.Fatal(err)
		}
	}
	s, err := js.Stream(t.Context(), stream.BucketStream(stream.Bucket("mailer")))
	if err != nil {
		t.Fatal(err)
	}
	if last := s.CachedInfo().State.LastSeq; last != 1 {
		t.Errorf("it was written %d times", last)
	}
}
