package objectstore_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/objectstore"
	"handoff/services/api/internal/web"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

func TestPictureIsReadAsItWasPut(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	js := server.JetStream()
	objects, err := js.ObjectStore(t.Context(), stream.Pictures)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("picture "), 50_000) // several chunks
	meta := jetstream.ObjectMeta{Name: "job-1", Headers: nats.Header{"Content-Type": {"image/jpeg"}}}
	if _, err := objects.Put(t.Context(), meta, bytes.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	pictures := objectstore.New(js, stream.Pictures)
	p, err := pictures.Open(t.Context(), "job-1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(p.Body)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes (%v), want the %d that were put", len(got), err, len(want))
	}
	if err := p.Body.Close(); err != nil {
		t.Error(err)
	}
	if p.Size != int64(len(want)) || p.ContentType != "image/jpeg" || p.Digest == "" {
		t.Errorf("the picture is %+v", p)
	}
	if _, err := pictures.Open(t.Context(), "job-2"); !errors.Is(err, web.ErrNoPicture) {
		t.Errorf("a picture that is not there: %v", err)
	}
	if _, err := objectstore.New(js, "OTHER").Open(t.Context(), "job-1"); !errors.Is(err, web.ErrNoPicture) {
		t.Errorf("a bucket that is not there: %v", err)
	}
}

func TestPictureCanBeHadLaterWhenNATSIsAway(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	js := server.JetStream()
	server.Stop()
	_, err := objectstore.New(js, stream.Pictures).Open(t.Context(), "job-1")
	var later *accept.UnavailableError
	if !errors.As(err, &later) || later.RetryAfter <= 0 {
		t.Errorf("Open: %v, want an error that says when to come back", err)
	}
}
