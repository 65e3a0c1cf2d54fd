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

	"handoff/services/notifier"
	"handoff/shared/daemon"
	"handoff/shared/event"
	"handoff/shared/worker/workertest"
)

// start runs the notifier on a NATS server of its own until the test ends.
func start(t *testing.T, cfg notifier.Config) *workertest.Rig {
	t.Helper()
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	return workertest.Start(t, "notifier", run(cfg))
}

func run(cfg notifier.Config) workertest.Run {
	return func(ctx context.Context, p *daemon.Process) error { return notifier.Run(ctx, p, cfg) }
}

func user() event.UserCreatedData {
	return event.UserCreatedData{UserID: "user-1", Email: "ada@example.org", Username: "ada"}
}

// ask asks for job-1, as an accept asks both services, and gives the record that the notifier's task ends with.
func ask(r *workertest.Rig) *event.Record {
	r.Helper()
	r.Ask("job-1", user(), "mailer", "notifier")
	return r.AwaitEnd("job-1")
}

func TestNotifierAsTheAuthorOfAHandlerMustThinkOfIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	workertest.Suite{
		Service: "notifier", Run: run(notifier.Config{DataDir: dir}),
		Payload: func(int) event.Payload { return user() },
		Effects: func(r *workertest.Rig, key string) int {
			job, _, _ := strings.Cut(key, ".")
			files, err := filepath.Glob(filepath.Join(dir, "notices", "*"+job+"*"))
			if err != nil {
				r.Fatal(err)
			}
			return len(files)
		},
	}.Check(t)
}

func TestNotifierWritesNoticesWithoutAWebhook(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, notifier.Config{DataDir: dir})
	record := ask(r)
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
	r := start(t, notifier.Config{DataDir: dir})
	ask(r)
	path := filepath.Join(dir, "notices", "job-1.notifier.json")
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil { // so that a second writing shows
		t.Fatal(err)
	}

	r.Redrive("job-1")
	r.Await("job-1", func(record *event.Record) bool { return record.Generation == 1 && record.State == event.Succeeded })
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
	r := start(t, notifier.Config{WebhookURL: discord.URL + "/api/webhooks/1/secret"})
	record := ask(r)
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
	r := start(t, notifier.Config{WebhookURL: discord.URL + "/api/webhooks/1/secret-token"})
	record := ask(r)
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
	r := start(t, notifier.Config{WebhookURL: discord.URL + "/api/webhooks/1/secret"})
	record := ask(r)
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
	r := start(t, notifier.Config{WebhookURL: discord.URL + "/api/webhooks/1/secret"})
	r.Ask("job-1", user())
	record := r.Await("job-1", func(record *event.Record) bool { return record.State == event.Retrying })
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
