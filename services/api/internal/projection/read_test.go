package projection_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/projection"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// far waits until p has read a stream up to a sequence, and is at its end.
func (r *rig) far(p *projection.Projection, name string, want uint64) {
	r.t.Helper()
	s, err := r.js.Stream(r.t.Context(), name)
	if err != nil {
		r.t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		created, seq, atEnd := p.Read(name)
		if created.Equal(s.CachedInfo().Created) && seq == want && atEnd {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("of %s, made at %v, it has read %d (at the end: %t) of the one made at %v, want %d",
				name, s.CachedInfo().Created, seq, atEnd, created, want)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestReadTellsHowFarAlsoWhereNothingComes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, stop := r.start()
	r.far(p, stream.Users, 0)
	for range 3 {
		r.publishEvent("user.created", r.userCreated(newID(r), "x@example.com"))
	}
	r.far(p, stream.Users, 3)
	bucket := stream.BucketStream(stream.Bucket("mailer"))
	last := r.record("mailer", "job-1", ended(event.Succeeded, 1, ""))
	r.far(p, bucket, last)
	stop()
	if created, seq, atEnd := p.Read(stream.Users); !created.IsZero() || seq != 0 || atEnd {
		t.Errorf("stopped, it says %v, %d, %t", created, seq, atEnd)
	}

	s, err := r.js.Stream(t.Context(), stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(4)); err != nil {
		t.Fatal(err)
	}
	p, _ = r.start() // an empty stream
	r.far(p, stream.Users, 3)
	r.far(p, bucket, last)
	r.publishEvent("user.created", r.userCreated(newID(r), "x@example.com"))
	r.far(p, stream.Users, 4)

	if err := r.js.DeleteStream(t.Context(), stream.Users); err != nil {
		t.Fatal(err)
	}
	r.present(stream.Users)
	r.far(p, stream.Users, 0)
}
