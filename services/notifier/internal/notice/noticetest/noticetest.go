// Package noticetest holds the contract of a notice.Poster as one suite, which every implementation's tests run.
package noticetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"handoff/services/notifier/internal/notice"
	"handoff/shared/event"
)

// A Board is where a Poster's notices can be read.
type Board interface {
	// Texts gives the text of every notice that is there as a reader sees it.
	Texts(t *testing.T) []string
}

// NastyUsernames are names that would do harm where they are taken for more than a name.
func NastyUsernames() map[string]string {
	return map[string]string{
		"everyone":   "@everyone @here <@1234> <@&5678> <#91011>",
		"markdown":   "**bold** __under__ ~~gone~~ ||secret|| `code` ```block``` > quote # head - list",
		"link":       "[free money](https://evil.example/) https://evil.example <https://evil.example>",
		"escapes":    `\*not bold\* \\ \`,
		"lines":      "a\r\nb\u2028c\u0085d",
		"quotes":     `"a" 'b' {"content":"x"}`,
		"zero":       "a\x00b",
		"bad utf-8":  "a\xffb",
		"unicode":    "Zoë 山田太郎 👩‍👩‍👧",
		"direction":  "abc\u202Egnp.exe",
		"long":       strings.Repeat("*", 5000),
		"html":       "<script>alert(1)</script>",
		"emoji code": ":smile: <:name:1234> <t:1:R>",
	}
}

// Event is a user.created event for the notifier, of the job with the given id.
func Event(job, username, email string) event.Event[event.UserCreatedData] {
	return event.Event[event.UserCreatedData]{
		Envelope: event.Envelope{ID: job, Time: time.Date(2026, 3, 1, 12, 30, 45, 0, time.UTC)},
		Service:  "notifier", Attempt: 1,
		Data: event.UserCreatedData{UserID: "user-1", Email: email, Username: username},
	}
}

// Run runs the suite. It makes a poster, with a board of its own, for each test.
func Run(t *testing.T, start func(t *testing.T) (notice.Poster, Board)) {
	t.Run("a notice is there once posted", func(t *testing.T) {
		t.Parallel()
		p, board := start(t)
		n := notice.Compose(Event("job-1", "ada", "ada@example.org"))
		post(t, p, n)
		if got := board.Texts(t); len(got) != 1 || got[0] != "New user registered: ada (ada@example.org)!" {
			t.Errorf("the board says %q", got)
		}
	})
	t.Run("whatever users call themselves", func(t *testing.T) {
		t.Parallel()
		for name, username := range NastyUsernames() {
			p, board := start(t)
			n := notice.Compose(Event("job-1", username, "eve@example.org"))
			post(t, p, n)
			if got := board.Texts(t); len(got) != 1 || got[0] != n.Text {
				t.Errorf("%s: the board says %q, want %q", name, got, n.Text)
			}
		}
	})
	t.Run("a context that has ended posts nothing", func(t *testing.T) {
		t.Parallel()
		p, board := start(t)
		stopped := errors.New("stopped by the test")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(stopped)
		_, err := p.Post(ctx, notice.Compose(Event("job-1", "ada", "ada@example.org")))
		if !errors.Is(err, stopped) || errors.Is(err, notice.ErrRefused) {
			t.Errorf("Post: %v, want the context's cause and no refusal", err)
		}
		if got := board.Texts(t); len(got) != 0 {
			t.Errorf("the board says %q", got)
		}
	})
}

func post(t *testing.T, p notice.Poster, n notice.Notice) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := p.Post(ctx, n)
	if err != nil {
		t.Fatalf("Post: %v", err)
	}
	if r.Driver == "" || (r.File == "") == (r.MessageID == "") {
		t.Errorf("receipt %+v does not say where the notice has gone", r)
	}
}
