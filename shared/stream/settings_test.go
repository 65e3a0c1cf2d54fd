package stream_test

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/natstest"
	"handoff/shared/stream"
)

var update = flag.Bool("update", false, "write the golden file")

// settings are what a server says of everything that it holds; its own metadata is left out.
type settings struct {
	Streams   map[string]jetstream.StreamConfig
	Consumers map[string]jetstream.ConsumerConfig
}

func read(t *testing.T, js jetstream.JetStream) settings {
	t.Helper()
	all := settings{map[string]jetstream.StreamConfig{}, map[string]jetstream.ConsumerConfig{}}
	serverOwn := func(k, _ string) bool { return strings.HasPrefix(k, "_nats.") }
	streams := js.ListStreams(t.Context())
	for info := range streams.Info() {
		maps.DeleteFunc(info.Config.Metadata, serverOwn)
		all.Streams[info.Config.Name] = info.Config
	}
	for name := range all.Streams {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		consumers := s.ListConsumers(t.Context())
		for info := range consumers.Info() {
			if strings.HasPrefix(info.Name, "JS_SRC_") {
				continue // the server's own, of HISTORY
			}
			maps.DeleteFunc(info.Config.Metadata, serverOwn)
			all.Consumers[name+"/"+info.Name] = info.Config
		}
		if consumers.Err() != nil {
			t.Fatal(consumers.Err())
		}
	}
	if streams.Err() != nil {
		t.Fatal(streams.Err())
	}
	return all
}

func text(t *testing.T, s settings) string {
	t.Helper()
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

func TestEnsureMakesTheSettings(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JetStream()
	ensure(t, js, config())
	got := text(t, read(t, js))
	const file = "testdata/settings.json"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the server says\n%s\nwant %s", got, file)
	}
}

func TestEnsureFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JetStream()
	// Back and forth: limits grow and shrink, and a retention shorter than the server's own duplicate window is allowed.
	for _, cfg := range []stream.Config{
		{MaxStore: 64 << 20, History: true, HistoryRetention: time.Hour, DeadRetention: time.Hour},
		{MaxStore: 4 << 30, History: true, HistoryRetention: 10 * time.Second, DeadRetention: 10 * time.Second},
		{MaxStore: 256 << 20, History: true},
		{MaxStore: 4 << 30},
		{MaxStore: 64 << 20, History: true, HistoryRetention: time.Minute},
	} {
		ensure(t, js, cfg)
		got := read(t, js)
		var sum int64
		for _, s := range got.Streams {
			if s.MaxBytes <= 0 {
				t.Errorf("%s has no limit", s.Name)
			}
			sum += s.MaxBytes
		}
		if sum > cfg.MaxStore/10*9 || sum < cfg.MaxStore/10*7 {
			t.Errorf("of %d the limits take %d", cfg.MaxStore, sum)
		}
		if want := cfg.HistoryRetention; cfg.History && want != 0 && got.Streams[stream.History].MaxAge != want {
			t.Errorf("HISTORY keeps for %s, want %s", got.Streams[stream.History].MaxAge, want)
		}
	}
}

func TestBucketsHoldMoreThanTheirStreams(t *testing.T) {
	t.Parallel()
	got := read(t, natstest.Run(t).JetStream()).Streams
	for _, s := range stream.Services() {
		var sum int64
		for _, d := range stream.Durables() {
			if d.Service == s {
				sum += got[d.Stream].MaxBytes
			}
		}
		if b := got[stream.BucketStream(stream.Bucket(s))].MaxBytes; b <= sum {
			t.Errorf("the bucket of %s has %d bytes, its streams %d", s, b, sum)
		}
	}
}

func TestEnsureSaysThatTheServerIsTooSmall(t *testing.T) {
	t.Parallel()
	err := stream.Ensure(t.Context(), natstest.Start(t).JetStream(), stream.Config{MaxStore: 1 << 40})
	if err == nil || !strings.Contains(err.Error(), "make stream USERS: the NATS server has less JetStream storage than NATS_MAX_STORE asks for") {
		t.Errorf("got %v", err)
	}
}
