package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"handoff/services/mailer/internal/mail"
	"handoff/services/mailer/internal/mail/mailtest"
	"handoff/services/mailer/internal/smtp"
)

func newSender(t *testing.T, rawURL string) *smtp.Sender {
	t.Helper()
	u, err := smtp.ParseURL(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return smtp.New(smtp.Config{URL: u})
}

func welcome(t *testing.T, email string) *mail.Message {
	t.Helper()
	return mailtest.Message(t, mailtest.Event("job-1", "Ada", email))
}

func sendFor(t *testing.T, limit time.Duration, s *smtp.Sender, m *mail.Message) (mail.Receipt, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return s.Send(ctx, m)
}

func TestSenderKeepsTheContract(t *testing.T) {
	t.Parallel()
	// The far side of the promise: it knows a repetition by its Message-ID.
	server := startMailpit(t, "--ignore-duplicate-ids")
	mailtest.Run(t, newSender(t, "smtp://"+server.smtp+"?tls=none"), server)
}

func TestSenderDeliversBothBodies(t *testing.T) {
	t.Parallel()
	server := startMailpit(t)
	s := newSender(t, "smtp://"+server.smtp+"?tls=none")
	m := mailtest.Message(t, mailtest.Event("job-1", "Zoë", "zoe@example.org"))
	got, err := sendFor(t, 10*time.Second, s, m)
	if want := (mail.Receipt{Driver: "smtp", Server: server.smtp}); err != nil || got != want {
		t.Fatalf("Send = %+v, %v; want %+v", got, err, want)
	}
	if s.Simulated() {
		t.Error("Simulated is true")
	}
	read := server.read(t, m.ID)
	if read.Subject != "Welcome, Zoë!" || read.From.Address != "no-reply@handoff.example" || read.ReturnPath != "no-reply@handoff.example" {
		t.Errorf("arrived from %+v, return path %q, subject %q", read.From, read.ReturnPath, read.Subject)
	}
	if len(read.To) != 1 || read.To[0].Name != "Zoë" || read.To[0].Address != "zoe@example.org" || len(read.Bcc) != 0 {
		t.Errorf("arrived for %+v, hidden %+v", read.To, read.Bcc)
	}
	if !strings.Contains(read.Text, "Hello Zoë,") || !strings.Contains(read.HTML, "<p>Hello <strong") {
		t.Errorf("text:\n%s\nHTML:\n%s", read.Text, read.HTML)
	}
}

func TestSenderDemandsTLSUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	server := startMailpit(t)
	m := welcome(t, "ada@example.org")
	for _, tls := range []string{"", "?tls=starttls"} {
		_, err := sendFor(t, 10*time.Second, newSender(t, "smtp://ada:hunter2@"+server.smtp+tls), m)
		if err == nil || errors.Is(err, mail.ErrRefused) || !strings.Contains(err.Error(), "SMTP_URL set tls=implicit") {
			t.Errorf("Send: %v, want an error that says what to set", err)
		}
	}
	if got := server.Messages(t, m.ID); len(got) != 0 {
		t.Errorf("%d messages were sent in the clear", len(got))
	}
}

func TestSenderTellsRefusalsFromTroubles(t *testing.T) {
	t.Parallel()
	const refused, retried = true, false
	tests := map[string]struct {
		script  *script
		email   string
		refused bool
		says    string
	}{
		"unknown mailbox":          {&script{replies: map[string]string{"RCPT": "550 5.1.1 no such user"}}, "", refused, "no such user"},
		"bad mailbox name":         {&script{replies: map[string]string{"RCPT": "553 5.1.3 bad address"}}, "", refused, "553"},
		"mailbox full":             {&script{replies: map[string]string{"RCPT": "452 4.2.2 full"}}, "", retried, "452"},
		"greylisted":               {&script{replies: map[string]string{"RCPT": "450 4.7.1 come again"}}, "", retried, "come again"},
		"credentials wanted":       {&script{replies: map[string]string{"RCPT": "530 5.7.0 authenticate first"}}, "", retried, "530"},
		"sender refused":           {&script{replies: map[string]string{"MAIL": "550 5.7.1 not yours"}}, "", retried, "MAIL_FROM"},
		"sender put off":           {&script{replies: map[string]string{"MAIL": "451 later"}}, "", retried, "451"},
		"data refused":             {&script{replies: map[string]string{"DATA": "554 5.5.1 no"}}, "", refused, "554"},
		"data put off":             {&script{replies: map[string]string{"DATA": "451 later"}}, "", retried, "451"},
		"message is spam":          {&script{replies: map[string]string{".": "554 5.7.1 spam"}}, "", refused, "spam"},
		"message put off":          {&script{replies: map[string]string{".": "451 4.3.0 later"}}, "", retried, "later"},
		"closing":                  {&script{replies: map[string]string{"RCPT": "421 4.3.2 closing"}}, "", retried, "421"},
		"busy at the greeting":     {&script{greeting: "421 busy"}, "", retried, "busy"},
		"turned away":              {&script{greeting: "554 go away"}, "", retried, "go away"},
		"no SMTP at all":           {&script{greeting: "HTTP/1.1 400 Bad Request"}, "", retried, "greeting"},
		"hangs up at the greeting": {&script{greeting: "hangup"}, "", retried, "greeting"},
		"hangs up at the address":  {&script{replies: map[string]string{"RCPT": "hangup"}}, "", retried, "no answer"},
		"hangs up after the data":  {&script{replies: map[string]string{".": "hangup"}}, "", retried, "no answer"},
		"local part beyond ASCII":  {&script{}, "jörg@example.org", refused, "ASCII"},
		"nonsense for an answer":   {&script{replies: map[string]string{"RCPT": "okay"}}, "", retried, "no answer"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startScript(t, tt.script)
			if tt.email == "" {
				tt.email = "ada@example.org"
			}
			_, err := sendFor(t, 20*time.Second, newSender(t, "smtp://"+server.addr+"?tls=none"), welcome(t, tt.email))
			if err == nil || errors.Is(err, mail.ErrRefused) != tt.refused {
				t.Errorf("Send: %v, want refused for good = %v", err, tt.refused)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Send: %v, want it to say %q", err, tt.says)
			}
		})
	}
}

func TestSenderLearnsOfARefusedRecipientFromARealServer(t *testing.T) {
	t.Parallel()
	server := startMailpit(t, "--smtp-allowed-recipients", `@example\.org$`)
	s := newSender(t, "smtp://"+server.smtp+"?tls=none")
	if _, err := sendFor(t, 10*time.Second, s, welcome(t, "eve@example.com")); !errors.Is(err, mail.ErrRefused) {
		t.Errorf("Send: %v, want a refusal", err)
	}
	if _, err := sendFor(t, 10*time.Second, s, welcome(t, "ada@example.org")); err != nil {
		t.Errorf("Send: %v", err)
	}
}

func TestSenderAsksForUTF8OnlyWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	for email, want := range map[string]string{
		"ada@example.org":    "MAIL FROM:<no-reply@handoff.example> BODY=8BITMIME",
		"ada@bücher.example": "MAIL FROM:<no-reply@handoff.example> BODY=8BITMIME",
		"jörg@example.org":   "MAIL FROM:<no-reply@handoff.example> BODY=8BITMIME SMTPUTF8",
	} {
		server := startScript(t, &script{ehlo: []string{"8BITMIME", "SMTPUTF8"}})
		if _, err := sendFor(t, 10*time.Second, newSender(t, "smtp://"+server.addr+"?tls=none"), welcome(t, email)); err != nil {
			t.Errorf("%s: %v", email, err)
		}
		if got := server.heard("MAIL"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: said %q, want %q", email, got, want)
		}
	}
}

func TestSenderHasSentWhenTheServerHasTakenTheMessage(t *testing.T) {
	t.Parallel()
	for _, goodbye := range []string{"silence", "hangup", "500 what"} {
		server := startScript(t, &script{replies: map[string]string{"QUIT": goodbye}})
		s := newSender(t, "smtp://"+server.addr+"?tls=none")
		if _, err := sendFor(t, 20*time.Second, s, welcome(t, "ada@example.org")); err != nil {
			t.Errorf("goodbye is %s: %v, want success: a retry would send it twice", goodbye, err)
		}
	}
}

func TestSenderEndsWithItsContext(t *testing.T) {
	t.Parallel()
	stages := map[string]string{
		"greeting": "greeting", "EHLO": "hello", "MAIL": "the sender", "RCPT": "the recipient", "DATA": "the message", ".": "the message",
	}
	for silentAt := range stages {
		t.Run(silentAt, func(t *testing.T) {
			t.Parallel()
			sc := &script{replies: map[string]string{silentAt: "silence"}}
			if silentAt == "greeting" {
				sc.greeting = "silence"
			}
			server := startScript(t, sc)
			stopped := errors.New("stopped by the test")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer time.AfterFunc(50*time.Millisecond, func() { cancel(stopped) }).Stop()
			_, err := newSender(t, "smtp://"+server.addr+"?tls=none").Send(ctx, welcome(t, "ada@example.org"))
			if !errors.Is(err, stopped) || errors.Is(err, mail.ErrRefused) {
				t.Errorf("Send: %v, want the context's cause", err)
			}
			if at := stages[silentAt]; err != nil && !strings.Contains(err.Error(), at) {
				t.Errorf("Send: %v, want it to say how far it had come: %s", err, at)
			}
		})
	}
}

func TestSenderNeedsAServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprint(l.Addr())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = sendFor(t, 10*time.Second, newSender(t, "smtp://ada:hunter2@"+addr+"?tls=none"), welcome(t, "ada@example.org"))
	if err == nil || errors.Is(err, mail.ErrRefused) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Send: %v, want an error to retry after, without the password", err)
	}
}
