package notifier_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/notifier"
	"handoff/shared/daemon"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// start runs the notifier on a NATS server of its own until the test ends.
func start(t *testing.T, cfg notifier.Config) jetstream.JetStream {
	t.Helper()
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	server := natstest.Run(t)
	p := &daemon.Process{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), NATS: server.Connect(), Grace: time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- notifier.Run(ctx, p, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return server.JetStream()
}

// ask publishes an event for the notifier and gives the record that its task ends with.
func ask(t *testing.T, js jetstream.JetStream) *event.Record {
	t.Helper()
	publish(t, js)
	return await(t, js, func(r *event.Record) bool { return r.State.Ended() })
}

func publish(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	const job = "job-1"
	e, err := event.New(job, time.Now(), event.UserCreatedData{UserID: "user-1", Email: "ada@example.org", Username: "ada"},
		"mailer", "notifier")
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), stream.Subject(e.Type, e.Services()), b, jetstream.WithMsgID(job)); err != nil {
		t.Fatal(err)
	}
}

// await gives job-1's record once it is one that is waited for.
func await(t *testing.T, js jetstream.JetStream, reached func(*event.Record) bool) *event.Record {
	t.Helper()
	bucket, err := js.KeyValue(t.Context(), stream.Bucket("notifier"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := bucket.Watch(ctx, "job-1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = changes.Stop() }()
	var last *event.Record
	for {
		select {
		case entry := <-changes.Updates():
			if entry == nil { // all that was there has been seen
				continue
			}
			if last, err = event.DecodeRecord(entry.Value()); err != nil {
				t.Fatal(err)
			}
			if reached(last) {
				return last
			}
		case <-ctx.Done():
			t.Fatalf("job-1 stays at %+v", last)
		}
	}
}

func TestNotifierWritesNoticesWithoutAWebhook(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	js := start(t, notifier.Config{DataDir: dir})
	record := ask(t, js)
	if record.State != event.Succeeded || string(record.Result) != `{"driver":"file","file":"notices/job-1.notifier.json"}` {
		t.Errorf("the task is %s with %s (%s)", record.State, record.Result, record.Error)
	}
	if _, err := os.Stat(filepath.Join(dir, "notices", "job-1.notifier.json")); err != nil {
		t.Error(err)
	}
}

func TestNotifierWritesARedriveToTheSameFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	js := start(t, notifier.Config{DataDir: dir})
	ask(t, js)
	path := filepath.Join(dir, "notices", "job-1.notifier.json")
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil { // so that a second writing shows
		t.Fatal(err)
	}

	users, err := js.Stream(t.Context(), stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := users.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	msg := nats.NewMsg(stream.RetrySubject("notifier", event.UserCreated))
	msg.Data = stored.Data
	msg.Header.Set(stream.HeaderGeneration, "1")
	if _, err := js.PublishMsg(t.Context(), msg, jetstream.WithMsgID("job-1.notifier.2")); err != nil {
		t.Fatal(err)
	}
	await(t, js, func(r *event.Record) bool { return r.Generation == 1 && r.State == event.Succeeded })
	if got, err := os.ReadFile(path); err != nil || string(got) != string(first) {
		t.Errorf("posted again, the file holds %s (%v), want %s", got, err, first)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "notices")); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v (%v), want one file", entries, err)
	}
}

func TestNotifierPostsToDiscord(t *testing.T) {
	t.Parallel()
	got := make(chan string, 10)
	discord := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
		_, _ = io.WriteString(w, `{"id":"42"}`)
	}))
	t.Cleanup(discord.Close)
	js := start(t, notifier.Config{WebhookURL: discord.URL + "/api/webhooks/1/secret"})
	record := ask(t, js)
	if record.State != event.Succeeded || string(record.Result) != `{"driver":"discord","message_id":"42"}` {
		t.Errorf("the task is %s with %s (%s)", record.State, record.Result, record.Error)
	}
	if len(got) != 1 || !strings.Contains(<-got, "New user registered") {
		t.Error("Discord did not get the notice once")
	}
}

func TestNotifierGivesUpOnAWebhookThatIsGone(t *testing.T) {
	t.Parallel()
	discord := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"Unknown Webhook","code":10015}`)
	}))
	t.Cleanup(discord.Close)
	js := start(t, notifier.Config{WebhookURL: discord.URL + "/api/webhooks/1/secret-token"})
	record := ask(t, js)
	if record.State != event.Dead || record.Attempt != 1 || !strings.Contains(record.Error, "Unknown Webhook") {
		t.Errorf("the task is %s after attempt %d: %s", record.State, record.Attempt, record.Error)
	}
	if b, _ := json.Marshal(record); strings.Contains(string(b), "secret-token") {
		t.Errorf("the record holds the secret: %s", b)
	}
}

func TestNotifierComesBackWhenDiscordSays(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	discord := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		if len(asked) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = io.WriteString(w, `{"id":"42"}`)
	}))
	t.Cleanup(discord.Close)
	js := start(t, notifier.Config{WebhookURL: discord.URL + "/api/webhooks/1/secret"})
	record := ask(t, js)
	if record.State != event.Succeeded || record.Attempt != 2 {
		t.Fatalf("the task is %s after attempt %d: %s", record.State, record.Attempt, record.Error)
	}
	first, last := record.Steps[0].At, record.Steps[len(record.Steps)-1].At
	if passed := last.Sub(first); passed < time.Second {
		t.Errorf("it came back after %v, Discord asked for 1s", passed)
	}
}

func TestNotifierLeavesDiscordAloneForAsLongAsItSays(t *testing.T) {
	t.Parallel()
	discord := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "900")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(discord.Close)
	js := start(t, notifier.Config{WebhookURL: discord.URL + "/api/webhooks/1/secret"})
	publish(t, js)
	record := await(t, js, func(r *event.Record) bool { return r.State == event.Retrying })
	failed := record.Steps[len(record.Steps)-1].At
	if record.Due == nil || record.Due.Sub(failed) < 900*time.Second {
		t.Errorf("failed at %v, due at %v; Discord asked for 900s", failed, record.Due)
	}
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct{ url, says string }{
		"no webhook":      {"", ""},
		"a webhook":       {"https://discord.com/api/webhooks/1/s3cret", ""},
		"in the clear":    {"http://discord.com/api/webhooks/1/s3cret", "want https"},
		"no address":      {"s3cret", "as Discord's settings show it"},
		"unreadable":      {"https://discord.com/s3cret%zz", "as Discord's settings show it"},
		"without a token": {"https://discord.com/", "as Discord's settings show it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DISCORD_WEBHOOK_URL", tt.url)
			var cfg notifier.Config
			err := daemon.Load(&cfg)
			switch {
			case tt.says == "":
				if err != nil || cfg.DataDir != "data" {
					t.Errorf("Load: %v, %+v", err, cfg)
				}
			case err == nil || !strings.Contains(err.Error(), "DISCORD_WEBHOOK_URL") || !strings.Contains(err.Error(), tt.says):
				t.Errorf("Load: %v, want it to name the variable and say %q", err, tt.says)
			case strings.Contains(err.Error(), "s3cret"):
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
}

func TestNotifierSaysWhenItsFolderCanNotBeMade(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := notifier.Run(t.Context(), &daemon.Process{Log: slog.New(slog.DiscardHandler)}, notifier.Config{DataDir: file})
	if err == nil || !strings.Contains(err.Error(), "DATA_DIR") || daemon.Exit("notifier", err) != 2 {
		t.Errorf("Run: %v, want an error of the configuration that names DATA_DIR", err)
	}
}
