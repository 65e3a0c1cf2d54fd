// Package mailtest holds the contract of a mail.Sender as one suite, which every implementation's tests run.
package mailtest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	netmail "net/mail"
	"sync"
	"testing"
	"time"

	"handoff/services/mailer/internal/mail"
	"handoff/shared/event"
)

// An Inbox is where a Sender's messages can be read.
type Inbox interface {
	// Messages gives every message that has arrived with the Message-ID id, byte for byte. Header fields that were added on the
	// way may stand before the message.
	Messages(t *testing.T, id string) [][]byte
}

// NastyUsernames are names that would do harm where they are taken for more than a name.
func NastyUsernames() map[string]string {
	return map[string]string{
		"quotes":          `Robert "Bobby" O'Tables \`,
		"html":            `<script>alert("x")</script><b>&amp;`,
		"header":          "Eve\r\nBcc: victim@example.org\r\n\r\nHello",
		"bare line feed":  "Eve\nBcc: victim@example.org",
		"bare return":     "Eve\rBcc: victim@example.org",
		"line separators": "a\u2028b\u2029c\u0085d\vf\fg",
		"zero byte":       "a\x00b",
		"invalid utf-8":   "a\xff\xfeb",
		"unicode":         "Zoë Łukasz 山田太郎 👩‍👩‍👧",
		"direction":       "abc\u202Egnp.exe",
		"encoded word":    "=?utf-8?q?a=0D=0ABcc:_victim@example.org?=",
		"dots":            "a\r\n.\r\nMAIL FROM:<eve@example.org>",
		"template":        "{{.Email}} {{",
		"long":            string(bytes.Repeat([]byte("long name "), 500)),
		"long word":       string(bytes.Repeat([]byte("ä"), 5000)),
		"only spaces":     " \t ",
		"soft line break": "a=\r\nb=3D=20",
		"address":         `"ceo" <ceo@example.org>, x`,
		"boundary":        "--part-0123\r\nContent-Type: text/html\r\n\r\n<h1>x",
	}
}

// Event is a user.created event for the mailer, of the job with the given id.
func Event(job, username, email string) event.Event[event.UserCreatedData] {
	return event.Event[event.UserCreatedData]{
		Envelope: event.Envelope{ID: job, Time: time.Date(2026, 3, 1, 12, 30, 45, 0, time.UTC)},
		Service:  "mailer", Attempt: 1,
		Data: event.UserCreatedData{UserID: "user-1", Email: email, Username: username},
	}
}

// Message composes the welcome e-mail for an event.
func Message(t *testing.T, e event.Event[event.UserCreatedData]) *mail.Message {
	t.Helper()
	w, err := mail.NewWelcome(netmail.Address{Name: "Handoff", Address: "no-reply@handoff.example"}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m, err := w.Compose(e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Run runs the suite. Every test has Message-IDs of its own, so that all can share one inbox.
func Run(t *testing.T, sender mail.Sender, inbox Inbox) {
	t.Run("a message arrives once and unchanged", func(t *testing.T) {
		t.Parallel()
		m := Message(t, Event("arrives", "Ada", "ada@example.org"))
		send(t, sender, m)
		arrivedOnce(t, inbox, m)
	})
	t.Run("a message sent again is there once", func(t *testing.T) {
		t.Parallel()
		m := Message(t, Event("again", "Ada", "ada@example.org"))
		first := send(t, sender, m)
		if second := send(t, sender, m); second != first {
			t.Errorf("receipts differ: %+v, then %+v", first, second)
		}
		arrivedOnce(t, inbox, m)
	})
	t.Run("a domain beyond ASCII", func(t *testing.T) {
		t.Parallel()
		m := Message(t, Event("idn", "Jörg", "joerg@bücher.example"))
		send(t, sender, m)
		arrivedOnce(t, inbox, m)
	})
	t.Run("whatever users call themselves", func(t *testing.T) {
		t.Parallel()
		for job, username := range NastyUsernames() {
			m := Message(t, Event("nasty-"+slug(job), username, "eve@example.org"))
			send(t, sender, m)
			arrivedOnce(t, inbox, m)
		}
	})
	t.Run("many at once", func(t *testing.T) {
		t.Parallel()
		var sent sync.WaitGroup
		messages := make([]*mail.Message, 20)
		for i := range messages {
			messages[i] = Message(t, Event("many-"+string(rune('a'+i)), "Ada", "ada@example.org"))
			sent.Go(func() {
				if _, err := sender.Send(t.Context(), messages[i]); err != nil {
					t.Errorf("Send: %v", err)
				}
			})
		}
		sent.Wait()
		for _, m := range messages {
			arrivedOnce(t, inbox, m)
		}
	})
	t.Run("a context that has ended sends nothing", func(t *testing.T) {
		t.Parallel()
		m := Message(t, Event("ended", "Ada", "ada@example.org"))
		stopped := errors.New("stopped by the test")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(stopped)
		if _, err := sender.Send(ctx, m); !errors.Is(err, stopped) || errors.Is(err, mail.ErrRefused) {
			t.Errorf("Send: %v, want the context's cause and no refusal", err)
		}
		if got := inbox.Messages(t, m.ID); len(got) != 0 {
			t.Errorf("%d messages arrived", len(got))
		}
	})
}

func send(t *testing.T, sender mail.Sender, m *mail.Message) mail.Receipt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := sender.Send(ctx, m)
	if err != nil {
		t.Fatalf("Send %s: %v", m.ID, err)
	}
	if r.Driver == "" || (r.File == "") == (r.Server == "") {
		t.Errorf("receipt %+v does not say where the message has gone", r)
	}
	return r
}

func arrivedOnce(t *testing.T, inbox Inbox, m *mail.Message) {
	t.Helper()
	want, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got := inbox.Messages(t, m.ID)
	if len(got) != 1 {
		t.Fatalf("%d messages arrived as %s, want 1", len(got), m.ID)
	}
	if !bytes.HasSuffix(got[0], want) {
		t.Errorf("arrived as\n%s\nwant\n%s", got[0], want)
	}
}

func slug(s string) string { return string(bytes.ReplaceAll([]byte(s), []byte(" "), []byte("-"))) }
