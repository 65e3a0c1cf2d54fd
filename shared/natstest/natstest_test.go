package natstest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/natstest"
	"handoff/shared/stream"
)

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}

func TestRunHasEverything(t *testing.T) {
	t.Parallel()
	js := natstest.Run(t).JetStream()
	for _, d := range stream.Durables() {
		if _, err := js.Consumer(t.Context(), d.Stream, d.Service); err != nil {
			t.Errorf("%s on %s: %v", d.Service, d.Stream, err)
		}
	}
	for _, s := range stream.Services() {
		kv, err := js.KeyValue(t.Context(), stream.Bucket(s))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Get(t.Context(), stream.OpenKey); err != nil {
			t.Errorf("the bucket of %s: %v", s, err)
		}
	}
	if _, err := js.Stream(t.Context(), stream.History); err != nil {
		t.Error(err)
	}
}

func TestStartIsEmpty(t *testing.T) {
	t.Parallel()
	names := natstest.Start(t).JetStream().StreamNames(t.Context())
	var all []string
	for name := range names.Name() {
		all = append(all, name)
	}
	if names.Err() != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, names.Err())
	}
}

func TestRestartKeepsPortAndData(t *testing.T) {
	t.Parallel()
	srv := natstest.Run(t)
	nc := srv.Connect()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	url := srv.URL()
	var want []string
	for round := range 3 {
		id := string(rune('a' + round))
		if _, err := js.Publish(t.Context(), "user.created", []byte(id)); err != nil {
			t.Fatal(err)
		}
		want = append(want, id)
		if round != 1 { // Restart stops a server that runs
			srv.Stop()
			waitFor(t, func() bool { return !nc.IsConnected() })
		}
		was := nc.Stats().Reconnects
		srv.Restart()
		waitFor(t, func() bool { return nc.IsConnected() && nc.Stats().Reconnects > was })
		if srv.URL() != url {
			t.Fatalf("it is at %s, it was at %s", srv.URL(), url)
		}
		s, err := js.Stream(t.Context(), stream.Users)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
			m, err := s.GetMsg(t.Context(), seq)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(m.Data))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("USERS holds %v, want %v", got, want)
		}
	}
}

func TestServersAreApart(t *testing.T) {
	t.Parallel()
	one, two := natstest.Run(t), natstest.Run(t)
	if one.URL() == two.URL() {
		t.Fatal("two servers at one address")
	}
	if _, err := one.JetStream().Publish(t.Context(), "user.created", nil); err != nil {
		t.Fatal(err)
	}
	s, err := two.JetStream().Stream(t.Context(), stream.Users)
	if err != nil || s.CachedInfo().State.Msgs != 0 {
		t.Errorf("%v, %v", s, err)
	}
}
