package stream_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/natstest"
	"handoff/shared/stream"
)

const storeKey = "handoff-store"

func owner(t *testing.T, js jetstream.JetStream) string {
	t.Helper()
	id, err := stream.Owner(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func ownedBy(id string) stream.Config {
	cfg := config()
	cfg.StoreID = id
	return cfg
}

// relabel gives a stream other metadata.
func relabel(t *testing.T, js jetstream.JetStream, name string, metadata map[string]string) {
	t.Helper()
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.Metadata = metadata
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

func TestStreamsBearTheStoresID(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JetStream()
	if id := owner(t, js); id != "" {
		t.Errorf("an empty server belongs to %q", id)
	}
	ensure(t, js, config())
	if id := owner(t, js); id != "" {
		t.Errorf("streams without an id belong to %q", id)
	}
	ensure(t, js, ownedBy("mine"))
	if id := owner(t, js); id != "mine" {
		t.Errorf("they belong to %q, want mine", id)
	}
	ensure(t, js, config()) // nobody said whose they are
	for name, s := range read(t, js).Streams {
		if got := s.Metadata[storeKey]; got != "mine" {
			t.Errorf("%s belongs to %q, want mine", name, got)
		}
	}
}

func TestAnothersStreamsAreLeftAlone(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JetStream()
	ensure(t, js, ownedBy("theirs"))
	for _, name := range []string{stream.Users, stream.BucketStream(stream.Control)} { // one would be made before the other is met
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	before := text(t, read(t, js))
	err := stream.Ensure(t.Context(), js, ownedBy("ours"))
	var foreign *stream.ForeignError
	if !errors.As(err, &foreign) || foreign.Owner != "theirs" || foreign.Ours != "ours" {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{foreign.What, "theirs", "ours"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
	if after := text(t, read(t, js)); after != before {
		t.Errorf("they were changed:\n%s\nbefore:\n%s", after, before)
	}
}

func TestOwnersThatDoNotAgreeAreNamed(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JetStream()
	ensure(t, js, ownedBy("one"))
	relabel(t, js, stream.Images, map[string]string{storeKey: "two"})
	_, err := stream.Owner(t.Context(), js)
	if err == nil || !strings.Contains(err.Error(), "one") || !strings.Contains(err.Error(), "two") {
		t.Errorf("got %v, want both to be named", err)
	}
}

func TestTheIDOfWhatANewerVersionMadeIsStillLookedAt(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JetStream()
	ensure(t, js, config())
	relabel(t, js, stream.Users, map[string]string{numberKey: "1000", storeKey: "theirs"})
	before := text(t, read(t, js))
	if err := stream.Ensure(t.Context(), js, ownedBy("ours")); err == nil {
		t.Error("another store's stream was taken")
	}
	if after := text(t, read(t, js)); after != before {
		t.Error("it was changed")
	}
	relabel(t, js, stream.Users, map[string]string{numberKey: "1000"})
	ensure(t, js, ownedBy("ours"))
	s, err := js.Stream(t.Context(), stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().Config.Metadata; got[storeKey] != "" || got[numberKey] != "1000" {
		t.Errorf("what a newer version made was changed: %v", got)
	}
}

func TestEnsureControlMakesNothingElse(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JetStream()
	for range 2 {
		if err := stream.EnsureControl(t.Context(), js, stream.Config{}); err != nil {
			t.Fatal(err)
		}
	}
	if all := read(t, js).Streams; len(all) != 1 {
		t.Errorf("there are %d streams, want one", len(all))
	}
	kv, err := js.KeyValue(t.Context(), stream.Control)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Create(t.Context(), stream.LeaseKey, []byte("x")); err != nil {
		t.Errorf("it is no bucket: %v", err)
	}
}
