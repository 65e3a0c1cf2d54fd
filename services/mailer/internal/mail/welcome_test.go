package mail_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handoff/services/mailer/internal/mail"
	"handoff/services/mailer/internal/mail/mailtest"
)

// sender is a Sender that answers as it is told.
type sender struct {
	simulated bool
	err       error
	got       []*mail.Message
}

func (s *sender) Simulated() bool { return s.simulated }

func (s *sender) Send(_ context.Context, m *mail.Message) (mail.Receipt, error) {
	s.got = append(s.got, m)
	if s.err != nil {
		return mail.Receipt{}, s.err
	}
	return mail.Receipt{Driver: "test", Server: "localhost:25"}, nil
}

func newWelcome(t *testing.T, s mail.Sender, log *slog.Logger) *mail.Welcome {
	t.Helper()
	w, err := mail.NewWelcome(netmail.Address{Name: "Handoff", Address: "no-reply@handoff.example"}, s, log)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWelcomeLogsWhatTheDemoLogged(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		sender sender
		golden string
	}{
		"to a file":   {sender{simulated: true}, "simulated.log"},
		"to a server": {sender{}, "sent.log"},
		"failed":      {sender{err: errors.New("no")}, "failed.log"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var buf bytes.Buffer
			log := slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			}}))
			_, err := newWelcome(t, &tt.sender, log).Handle(t.Context(), mailtest.Event("job-1", "ada", "ada@example.org"))
			if !errors.Is(err, tt.sender.err) {
				t.Fatalf("Handle: %v, want %v", err, tt.sender.err)
			}
			golden(t, tt.golden, buf.Bytes())
		})
	}
}

func TestWelcomeLogsNoMoreThanAName(t *testing.T) {
	t.Parallel()
	for name, username := range mailtest.NastyUsernames() {
		var buf bytes.Buffer
		// As a terminal would show it: slog's own handlers quote, others may not.
		log := slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.MessageKey && (len(a.Value.String()) > 600 || strings.ContainsAny(a.Value.String(), "\r\n\x00\u202e\u2028")) {
				t.Errorf("%s: logged %.200q", name, a.Value.String())
			}
			return a
		}}))
		if _, err := newWelcome(t, &sender{}, log).Handle(t.Context(), mailtest.Event("job-1", username, "eve@example.org")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWelcomeResultSaysWhereTheMessageHasGone(t *testing.T) {
	t.Parallel()
	got, err := newWelcome(t, &sender{}, slog.New(slog.DiscardHandler)).
		Handle(t.Context(), mailtest.Event("job-1", "ada", "ada@example.org"))
	want := mail.Result{MessageID: "job-1.mailer@handoff.example", Receipt: mail.Receipt{Driver: "test", Server: "localhost:25"}}
	if err != nil || got != want {
		t.Errorf("Handle = %+v, %v; want %+v", got, err, want)
	}
}

func TestWelcomeRefusesMalformedAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "ada", "ada@", "@example.org", "ada@example.org, eve@example.org", "Ada <ada@example.org>", "<ada@example.org>",
		" ada@example.org", "ada@example.org\r\nBcc: eve@example.org", "ada@example.org\n", "ada(comment)@example.org", `"a b"@example.org`,
		"ada@ex ample.org", "ada@\u00ad.example", "a\x00da@example.org", "ada@example.org\x00", "undisclosed:;",
		"ada@xn--ü.example", "ada\u202Egro@example.org", strings.Repeat("a", 250) + "@example.org",
		"ada@" + strings.Repeat("例え.", 60) + "テスト",
	} {
		s := &sender{}
		_, err := newWelcome(t, s, slog.New(slog.DiscardHandler)).Handle(t.Context(), mailtest.Event("job-1", "ada", address))
		if !errors.Is(err, mail.ErrRefused) {
			t.Errorf("%q: %v, want a refusal", address, err)
		}
		if len(s.got) != 0 {
			t.Errorf("%q: something was sent", address)
		}
	}
}

func TestWelcomeSendsTheSameBytesAtEachAttempt(t *testing.T) {
	t.Parallel()
	s := &sender{}
	e := mailtest.Event("job-1", "Zoë", "zoe@example.org")
	for attempt := 1; attempt <= 3; attempt++ {
		e.Attempt = attempt
		// A welcome of its own for each: attempts may be made by different processes.
		if _, err := newWelcome(t, s, slog.New(slog.DiscardHandler)).Handle(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	first, err := s.got[0].Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range s.got {
		for range 2 { // rendering leaves no trace in the message
			if b, err := m.Bytes(); err != nil || !bytes.Equal(b, first) {
				t.Fatalf("bytes differ (%v):\n%s\n%s", err, first, b)
			}
		}
	}
	golden(t, "welcome.eml", first)
}

// golden compares got to a file under testdata; UPDATE_GOLDEN=1 writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%s\n%s holds\n%s", strings.TrimSpace(string(got)), path, strings.TrimSpace(string(want)))
	}
}
