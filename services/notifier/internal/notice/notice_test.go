package notice_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"handoff/services/notifier/internal/notice"
	"handoff/services/notifier/internal/notice/noticetest"
)

// poster is a Poster that answers as it is told.
type poster struct {
	receipt notice.Receipt
	err     error
}

func (p poster) Post(context.Context, notice.Notice) (notice.Receipt, error) { return p.receipt, p.err }

func TestWelcomeLogsWhatTheDemoLogged(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		poster poster
		golden string
	}{
		"to Discord": {poster{receipt: notice.Receipt{Driver: "discord", MessageID: "1"}}, "discord.log"},
		"to a file":  {poster{receipt: notice.Receipt{Driver: "file", File: "notices/job-1.notifier.json"}}, "file.log"},
		"failed":     {poster{err: errors.New("no")}, "failed.log"},
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
			got, err := notice.NewWelcome(tt.poster, log).Handle(t.Context(), noticetest.Event("job-1", "ada", "ada@example.org"))
			if !errors.Is(err, tt.poster.err) || got != tt.poster.receipt {
				t.Fatalf("Handle = %+v, %v; want %+v, %v", got, err, tt.poster.receipt, tt.poster.err)
			}
			golden(t, tt.golden, buf.Bytes())
		})
	}
}

func TestWelcomeLogsNoMoreThanAName(t *testing.T) {
	t.Parallel()
	for _, receipt := range []notice.Receipt{{Driver: "discord", MessageID: "1"}, {Driver: "file", File: "notices/x.json"}} {
		for name, username := range noticetest.NastyUsernames() {
			log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if s := a.Value.String(); a.Key == slog.MessageKey && (len(s) > 600 || strings.ContainsAny(s, "\r\n\x00\u202e\u2028")) {
					t.Errorf("%s: logged %.200q", name, s)
				}
				return a
			}}))
			if _, err := notice.NewWelcome(poster{receipt: receipt}, log).
				Handle(t.Context(), noticetest.Event("job-1", username, "eve@example.org")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestComposeGivesOneShortLine(t *testing.T) {
	t.Parallel()
	for name, username := range noticetest.NastyUsernames() {
		n := notice.Compose(noticetest.Event("job-1", username, strings.Repeat("ä*", 3000)+"@example.org"))
		// Escaped, every character may become two; Discord takes 2000.
		if length := 2 * len(utf16.Encode([]rune(n.Text))); length > 2000 {
			t.Errorf("%s: the text may become %d characters", name, length)
		}
		if !utf8.ValidString(n.Text) || strings.ContainsFunc(n.Text, unicode.IsControl) || strings.ContainsAny(n.Text, "\u2028\u2029\u202e") {
			t.Errorf("%s: the text is not one clean line: %q", name, n.Text)
		}
	}
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
		t.Errorf("got\n%s\n%s holds\n%s", got, path, want)
	}
}
