package mailer_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handoff/services/mailer"
	"handoff/shared/daemon"
	"handoff/shared/event"
	"handoff/shared/worker/workertest"
)

// start runs the mailer on a NATS server of its own until the test ends.
func start(t *testing.T, cfg mailer.Config) *workertest.Rig {
	t.Helper()
	return workertest.Start(t, "mailer", run(cfg))
}

func run(cfg mailer.Config) workertest.Run {
	return func(ctx context.Context, p *daemon.Process) error { return mailer.Run(ctx, p, cfg) }
}

func user(email string) event.UserCreatedData {
	return event.UserCreatedData{UserID: "user-1", Email: email, Username: "ada"}
}

// ask asks for job-1 and gives the record that its task ends with.
func ask(r *workertest.Rig, email string) *event.Record {
	r.Helper()
	r.Ask("job-1", user(email))
	return r.AwaitEnd("job-1")
}

func TestMailerAsTheAuthorOfAHandlerMustThinkOfIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	workertest.Suite{
		Service: "mailer", Run: run(mailer.Config{Driver: "file", From: "Handoff <no-reply@localhost>", DataDir: dir}),
		Payload: func(int) event.Payload { return user("ada@example.org") },
		Effects: func(r *workertest.Rig, key string) int {
			files, err := filepath.Glob(filepath.Join(dir, "mail", "*.eml"))
			if err != nil {
				r.Fatal(err)
			}
			n := 0
			for _, f := range files {
				mail, err := os.ReadFile(f)
				if err != nil {
					r.Fatal(err)
				}
				if strings.Contains(string(mail), "Message-ID: <"+key+"@localhost>") {
					n++
				}
			}
			return n
		},
	}.Check(t)
}

func TestMailerWritesFilesUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, mailer.Config{Driver: "file", From: "Handoff <no-reply@localhost>", DataDir: dir})
	record := ask(r, "ada@example.org")
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
	r := start(t, mailer.Config{Driver: "file", From: "Handoff <no-reply@localhost>", DataDir: dir})
	ask(r, "ada@example.org")
	path := filepath.Join(dir, "mail", "job-1.mailer.eml")
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("half a mess"), 0o600); err != nil { // so that a second writing shows
		t.Fatal(err)
	}

	r.Redrive("job-1")
	r.Await("job-1", func(record *event.Record) bool { return record.Generation == 1 && record.State == event.Succeeded })
	if got, err := os.ReadFile(path); err != nil || string(got) != string(first) {
		t.Errorf("sent again, the file holds\n%s\n(%v), want\n%s", got, err, first)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "mail")); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v (%v), want one file", entries, err)
	}
}

func TestMailerGivesUpOnAMalformedAddress(t *testing.T) {
	t.Parallel()
	r := start(t, mailer.Config{Driver: "file", From: "no-reply@localhost", DataDir: t.TempDir()})
	record := ask(r, "not an address")
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
	r := start(t, mailer.Config{Driver: "smtp", From: "no-reply@localhost", SMTPURL: "smtp://ada:hunter2@" + addr + "?tls=none"})
	r.Ask("job-1", user("ada@example.org"))
	record := r.Await("job-1", func(record *event.Record) bool { return record.State == event.Retrying })
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
