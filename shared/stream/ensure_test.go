package stream_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/natstest"
	"handoff/shared/stream"
)

const numberKey = "handoff-config"

func config() stream.Config { return stream.Config{MaxStore: natstest.MaxStore, History: true} }

func ensure(t testing.TB, js jetstream.JetStream, cfg stream.Config) {
	t.Helper()
	if err := stream.Ensure(t.Context(), js, cfg); err != nil {
		t.Fatal(err)
	}
}

func TestEnsureOnlyReadsWhenNothingDiffers(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	js, nc := srv.JetStream(), srv.Connect()
	for _, cfg := range []stream.Config{config(), {MaxStore: natstest.MaxStore}} {
		ensure(t, js, cfg)
		before := text(t, read(t, js))
		calls := make(chan string, 1000)
		sub, err := nc.Subscribe("$JS.API.>", func(m *nats.Msg) { calls <- m.Subject })
		if err != nil {
			t.Fatal(err)
		}
		puts, err := nc.Subscribe("$KV.>", func(m *nats.Msg) { calls <- m.Subject })
		if err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		ensure(t, js, cfg)
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(sub.Drain(), puts.Drain()); err != nil {
			t.Fatal(err)
		}
		reads := 0
		for sub.IsValid() || puts.IsValid() || len(calls) > 0 {
			select {
			case c := <-calls:
				switch {
				case strings.HasPrefix(c, "$JS.API.STREAM.INFO."), strings.HasPrefix(c, "$JS.API.CONSUMER.INFO."), strings.HasPrefix(c, "$JS.API.DIRECT.GET."):
					reads++
				case strings.Contains(c, ".JS_SRC_"): // the server's own, for HISTORY
				default:
					t.Errorf("called %s", c)
				}
			case <-time.After(10 * time.Millisecond):
			}
		}
		if made := len(read(t, js).Streams); reads == 0 || reads > 3*made { // a stream, its consumers, an open key
			t.Errorf("%d reads", reads)
		}
		if after := text(t, read(t, js)); after != before {
			t.Errorf("after:\n%s\nbefore:\n%s", after, before)
		}
	}
}

func TestEnsurePutsBackWhatIsMissing(t *testing.T) {
	t.Parallel()
	js := natstest.Run(t).JetStream()
	want := read(t, js)
	for name := range want.Streams {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		ensure(t, js, config())
	}
	for name := range want.Consumers {
		on, consumer, _ := strings.Cut(name, "/")
		if err := js.DeleteConsumer(t.Context(), on, consumer); err != nil {
			t.Fatal(err)
		}
	}
	ensure(t, js, config())
	if got := text(t, read(t, js)); got != text(t, want) {
		t.Errorf("put back:\n%s\nwas:\n%s", got, text(t, want))
	}
	for _, s := range stream.Services() {
		if !isOpen(t, js, s) {
			t.Errorf("the bucket of %s was made and is not open", s)
		}
	}
}

func TestEnsureTwiceAtOnce(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JetStream()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := stream.Ensure(t.Context(), js, config()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func isOpen(t *testing.T, js jetstream.JetStream, service string) bool {
	t.Helper()
	kv, err := js.KeyValue(t.Context(), stream.Bucket(service))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(t.Context())
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		t.Fatal(err)
	}
	return slices.Contains(keys, stream.OpenKey)
}

func TestEnsureLeavesBucketsShutWhenAsked(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JetStream()
	cfg := config()
	cfg.SkipOpen = true
	ensure(t, js, cfg)
	if isOpen(t, js, "mailer") {
		t.Error("it was opened")
	}
	ensure(t, js, config())
	if !isOpen(t, js, "mailer") {
		t.Fatal("it was not opened")
	}
	ensure(t, js, cfg)
	if !isOpen(t, js, "mailer") {
		t.Error("it was shut again")
	}
}

// withNumber gives stream USERS and its consumer mailer another configuration number, and less of everything.
func withNumber(t *testing.T, js jetstream.JetStream, number string) {
	t.Helper()
	s, err := js.Stream(t.Context(), stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Consumer(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	metadata := map[string]string{"somebody": "else"}
	if number != "" {
		metadata[numberKey] = number
	}
	sc, cc := s.CachedInfo().Config, c.CachedInfo().Config
	sc.Subjects, sc.MaxBytes, sc.Metadata = []string{"user.>"}, 2<<20, metadata
	cc.FilterSubjects, cc.AckWait, cc.Metadata = []string{"user.created"}, 30*time.Second, metadata
	if _, err := js.UpdateStream(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	if _, err := js.UpdateConsumer(t.Context(), stream.Users, cc); err != nil {
		t.Fatal(err)
	}
}

func TestEnsureLeavesWhatANewerVersionMade(t *testing.T) {
	t.Parallel()
	js := natstest.Run(t).JetStream()
	withNumber(t, js, "99")
	before := text(t, read(t, js))
	ensure(t, js, config())
	if after := text(t, read(t, js)); after != before {
		t.Errorf("after:\n%s\nbefore:\n%s", after, before)
	}
}

func TestEnsureWidensWhatAnOlderVersionMade(t *testing.T) {
	t.Parallel()
	for _, number := range []string{"0", "", "rubbish", "1"} {
		t.Run("number "+number, func(t *testing.T) {
			t.Parallel()
			js := natstest.Run(t).JetStream()
			want := read(t, js)
			withNumber(t, js, number)
			ensure(t, js, config())
			got := read(t, js)
			s, c := got.Streams[stream.Users], got.Consumers[stream.Users+"/mailer"]
			if s.Metadata["somebody"] != "else" || c.Metadata["somebody"] != "else" {
				t.Errorf("metadata of others is gone: %v, %v", s.Metadata, c.Metadata)
			}
			delete(s.Metadata, "somebody")
			delete(c.Metadata, "somebody")
			if text(t, got) != text(t, want) {
				t.Errorf("got:\n%s\nwant:\n%s", text(t, got), text(t, want))
			}
		})
	}
}

func TestEnsureKeepsWhatIsTheOperators(t *testing.T) {
	t.Parallel()
	js := natstest.Run(t).JetStream()
	s, err := js.Stream(t.Context(), stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.Compression, cfg.MaxBytes = jetstream.S2Compression, 3<<20
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	ensure(t, js, config())
	got := read(t, js).Streams[stream.Users]
	if got.Compression != jetstream.S2Compression {
		t.Error("compression was turned off again")
	}
	if got.MaxBytes == 3<<20 {
		t.Error("max_bytes, which is ours, was left")
	}
}

func TestEnsureSaysWhatCantBeChanged(t *testing.T) {
	t.Parallel()
	js := natstest.Run(t).JetStream()
	if err := js.DeleteConsumer(t.Context(), stream.Users, "mailer"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateConsumer(t.Context(), stream.Users, jetstream.ConsumerConfig{Durable: "mailer", MaxWaiting: 7, AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	err := stream.Ensure(t.Context(), js, config())
	if err == nil || !strings.Contains(err.Error(), "make consumer mailer on USERS") || !strings.Contains(err.Error(), "max waiting") {
		t.Errorf("got %v", err)
	}
}

func TestEnsureWithoutAServerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	js := srv.JetStream()
	srv.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := stream.Ensure(ctx, js, config()); err == nil || !strings.Contains(err.Error(), "make stream USERS") {
		t.Errorf("got %v", err)
	}
}

func TestEnsureSaysThatTheServerTakesTooLittle(t *testing.T) {
	t.Parallel()
	addr, err := net.ResolveTCPAddr("tcp", natstest.Addr(t))
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.NewServer(&server.Options{
		Host: addr.IP.String(), Port: addr.Port, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 128 << 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(srv.Shutdown)
	if !srv.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Ensure(t.Context(), js, config()); err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkEnsureWhenNothingDiffers(b *testing.B) {
	js := natstest.Run(b).JetStream()
	for b.Loop() {
		ensure(b, js, config())
	}
}
