package objectstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/imager/internal/objectstore"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

const kind = "image/jpeg"

func TestPutKeepsOneObjectForAJob(t *testing.T) {
	t.Parallel()
	js := natstest.Run(t).JetStream()
	s := objectstore.New(js, stream.Pictures)
	bucket, err := js.ObjectStore(t.Context(), stream.Pictures)
	if err != nil {
		t.Fatal(err)
	}
	last := func() uint64 {
		t.Helper()
		status, err := js.Stream(t.Context(), "OBJ_"+stream.Pictures)
		if err != nil {
			t.Fatal(err)
		}
		return status.CachedInfo().State.LastSeq
	}
	put := func(data string) {
		t.Helper()
		if err := s.Put(t.Context(), "job-1", kind, []byte(data)); err != nil {
			t.Fatal(err)
		}
		got, err := bucket.GetBytes(t.Context(), "job-1")
		if err != nil || string(got) != data {
			t.Fatalf("kept is %.20q (%v), want %.20q", got, err, data)
		}
	}
	put("a picture")
	before := last()
	put("a picture")
	if last() != before {
		t.Error("the same picture was written twice")
	}
	put(strings.Repeat("another picture, of several pieces ", 10_000))
	info, err := bucket.GetInfo(t.Context(), "job-1")
	if err != nil || info.Headers.Get("Content-Type") != kind {
		t.Errorf("its type is %q (%v), want %s", info.Headers.Get("Content-Type"), err, kind)
	}
	if all, err := bucket.List(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("there are %d objects (%v), want one", len(all), err)
	}

	// Deleted, as old pictures are, it can be made again.
	if err := bucket.Delete(t.Context(), "job-1"); err != nil {
		t.Fatal(err)
	}
	put("a picture")
}

func TestPutFindsABucketThatIsMadeLater(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	s := objectstore.New(server.JetStream(), stream.Pictures)
	if err := s.Put(t.Context(), "job-1", kind, []byte("a picture")); !errors.Is(err, jetstream.ErrBucketNotFound) ||
		!strings.Contains(err.Error(), stream.Pictures) {
		t.Errorf("error is %v, want the missing bucket named", err)
	}
	server.Ensure()
	if err := s.Put(t.Context(), "job-1", kind, []byte("a picture")); err != nil {
		t.Error(err)
	}
}
