package mailer_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/mailer"
	"handoff/shared/daemon"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// start runs the mailer on a NATS server of its own until the test ends.
func start(t *testing.T, cfg mailer.Config) jetstream.JetStream {
	t.Helper()
	server := natstest.Run(t)
	p := &daemon.Process{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), NATS: server.Connect(), Grace: time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mailer.Run(ctx, p, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return server.JetStream()
}

// ask publishes an event for the mailer and gives the job's record once its state is one that is waited for.
func ask(t *testing.T, js jetstream.JetStream, email string, reached func(event.State) bool) *event.Record {
	t.Helper()
	const job = "job-1"
	e, err := event.New(job, time.Now(), event.UserCreatedData{UserID: "user-1", Email: email, Username: "ada"}, "mailer")
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
	return await(t, js, func(r *event.Record) bool { return reached(r.State) })
}

// await gives job-1's record once it is one that is waited for.
func await(t *testing.T, js jetstream.JetStream, reached func(*event.Record) bool) *event.Record {
	t.Helper()
	bucket, err := js.KeyValue(t.Context(), stream.Bucket("mailer"))
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

func TestMailerWritesFilesUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	js := start(t, mailer.Config{Driver: "file", From: "Handoff <no-reply@localhost>", DataDir: dir})
	record := ask(t, js, "ada@example.org", event.State.Ended)
	const want = `{"message_id":"job-1.mailer@localhost","driver":"file","file":"mail/job-1.mailer.eml"}`
	if record.State != event.Succeeded || string(record.Result) != want {
		t.Errorf("the task is %s with %s (%s), want %s", record.State, record.Result, record.Error, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "mail", "job-1.mailer.eml")); err != nil {
		t.Error(err)
	}
}

func TestMailerSendsARedriveToTheSameFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	js := start(t, mailer.Config{Driver: "file", From: "Handoff <no-reply@localhost>", DataDir: dir})
	ask(t, js, "ada@example.org", event.State.Ended)
	path := filepath.Join(dir, "mail", "job-1.mailer.eml")
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("half a mess"), 0o600); err != nil { // so that a second writing shows
		t.Fatal(err)
	}

	again(t, js)
	if got, err := os.ReadFile(path); err != nil || string(got) != string(first) {
		t.Errorf("sent again, the file holds\n%s\n(%v), want\n%s", got, err, first)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "mail")); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v (%v), want one file", entries, err)
	}
}

// again asks for job-1 once more, as a redrive does, and waits for its end.
func again(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	users, err := js.Stream(t.Context(), stream.Users)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := users.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	msg := nats.NewMsg(stream.RetrySubject("mailer", event.UserCreated))
	msg.Data = stored.Data
	msg.Header.Set(stream.HeaderGeneration, "1")
	if _, err := js.PublishMsg(t.Context(), msg, jetstream.WithMsgID("job-1.mailer.2")); err != nil {
		t.Fatal(err)
	}
	await(t, js, func(r *event.Record) bool { return r.Generation == 1 && r.State == event.Succeeded })
}

func TestMailerGivesUpOnAMalformedAddress(t *testing.T) {
	t.Parallel()
	js := start(t, mailer.Config{Driver: "file", From: "no-reply@localhost", DataDir: t.TempDir()})
	record := ask(t, js, "not an address", event.State.Ended)
	if record.State != event.Dead || record.Attempt != 1 || !strings.Contains(record.Error, "bare e-mail address") {
		t.Errorf("the task is %s after attempt %d: %s", record.State, record.Attempt, record.Error)
	}
}

func TestMailerTriesAgainWhenItsServerIsAway(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	js := start(t, mailer.Config{Driver: "smtp", From: "no-reply@localhost", SMTPURL: "smtp://ada:hunter2@" + addr + "?tls=none"})
	record := ask(t, js, "ada@example.org", func(s event.State) bool { return s == event.Retrying })
	if !strings.Contains(record.Error, addr) || strings.Contains(record.Error, "hunter2") || record.Due == nil {
		t.Errorf("the record says %q, due %v; want the server named and the password not", record.Error, record.Due)
	}
}

func TestConfigHasDefaults(t *testing.T) {
	for _, variable := range []string{"MAIL_DRIVER", "MAIL_FROM", "SMTP_URL", "DATA_DIR"} {
		t.Setenv(variable, "")
	}
	var cfg mailer.Config
	want := mailer.Config{Driver: "file", From: "Handoff <no-reply@localhost>", DataDir: "data"}
	if err := daemon.Load(&cfg); err != nil || cfg != want {
		t.Errorf("Load: %v, %+v; want %+v", err, cfg, want)
	}
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		says []string
	}{
		"smtp without a server": {map[string]string{"MAIL_DRIVER": "smtp"}, []string{"SMTP_URL is missing"}},
		"smtp":                  {map[string]string{"MAIL_DRIVER": "smtp", "SMTP_URL": "smtp://ada:hunter2@mail.example"}, nil},
		"everything": {
			map[string]string{"MAIL_DRIVER": "pigeon", "MAIL_FROM": "nobody", "SMTP_URL": "smtp://ada:hunter2#@mail.example"},
			[]string{`MAIL_DRIVER is "pigeon": use file or smtp`, `MAIL_FROM is "nobody"`, "SMTP_URL (not shown", "percent-encoded"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for variable, value := range tt.env {
				t.Setenv(variable, value)
			}
			err := daemon.Load(&mailer.Config{})
			if (err == nil) != (len(tt.says) == 0) {
				t.Fatalf("Load: %v", err)
			}
			for _, s := range tt.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("Load: %v, want it to say %q", err, s)
				}
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

func TestMailerSaysWhenItsFolderCanNotBeMade(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := mailer.Run(t.Context(), &daemon.Process{Log: slog.New(slog.DiscardHandler)}, mailer.Config{Driver: "file", From: "a@b", DataDir: file})
	if err == nil || !strings.Contains(err.Error(), "DATA_DIR") || daemon.Exit("mailer", err) != 2 {
		t.Errorf("Run: %v, want an error of the configuration that names DATA_DIR", err)
	}
}
