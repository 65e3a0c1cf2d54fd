package notice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"handoff/shared/event"
)

// A Notice is one short message to the people who run the place.
type Notice struct {
	Key      string    `json:"key"`           // names the effect: the same for every attempt; letters, digits, ".", "_" and "-"
	Time     time.Time `json:"time,omitzero"` // zero in an event made by hand
	Text     string    `json:"text"`          // one line, plain
	UserID   string    `json:"user_id"`
	Username string    `json:"username"`
	Email    string    `json:"email"`
}

// A Poster puts notices where people see them. It is safe for concurrent use.
type Poster interface {
	// Post puts n there before ctx ends. Once it has returned nil the notice is kept by whoever the receipt names.
	Post(ctx context.Context, n Notice) (Receipt, error)
}

// A Receipt says where a notice has gone. It is what a task of the notifier leaves in its record.
type Receipt struct {
	Driver    string `json:"driver"`
	File      string `json:"file,omitempty"`       // relative to DATA_DIR, with slashes
	MessageID string `json:"message_id,omitempty"` // Discord's
}

// ErrRefused is wrapped by errors that no further attempt can cure: a webhook that does not exist, a notice that is not taken.
var ErrRefused = errors.New("refused for good")

// A LaterError says that the far side asks to be left alone for a while.
type LaterError struct {
	After time.Duration
	Err   error
}

// Error implements error.
func (e *LaterError) Error() string { return fmt.Sprintf("%v (again in %v)", e.Err, e.After) }

// Unwrap gives what went wrong.
func (e *LaterError) Unwrap() error { return e.Err }

// Welcome tells of new users.
type Welcome struct {
	poster Poster
	log    *slog.Logger
}

// NewWelcome gives a Welcome that posts by p.
func NewWelcome(p Poster, log *slog.Logger) *Welcome { return &Welcome{poster: p, log: log} }

// Handle posts the notice that e asks for.
func (w *Welcome) Handle(ctx context.Context, e event.Event[event.UserCreatedData]) (Receipt, error) {
	n := Compose(e)
	// The lines are the ones that the original demo printed, word for word: people and scripts look for them.
	log := w.log.With("job", e.ID)
	log.InfoContext(ctx, "Sending Discord notification for "+n.Username) //nolint:sloglint // the demo's line
	receipt, err := w.poster.Post(ctx, n)
	if err != nil {
		return Receipt{}, fmt.Errorf("post notice of user %s: %w", e.Data.UserID, err)
	}
	said := "Discord notification sent for " + n.Username
	if receipt.File != "" {
		said = fmt.Sprintf("Discord notification: %s (no DISCORD_WEBHOOK_URL, written to %s)", n.Text, receipt.File)
	}
	log.InfoContext(ctx, said) //nolint:sloglint // the demo's line
	return receipt, nil
}

// Bounds that keep a notice one short line, whatever a user calls himself.
const (
	maxName  = 100
	maxEmail = 254
)

// Compose gives the notice of e: the same for every attempt.
func Compose(e event.Event[event.UserCreatedData]) Notice {
	name, email := oneLine(e.Data.Username, maxName), oneLine(e.Data.Email, maxEmail)
	return Notice{
		Key:      e.Key(),
		Time:     e.Time.UTC(),
		Text:     fmt.Sprintf("New user registered: %s (%s)!", name, email),
		UserID:   e.Data.UserID,
		Username: name,
		Email:    email,
	}
}

// oneLine gives a text of at most limit runes that can't break a line or turn the direction of the text around it.
func oneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit-1]) + "…"
	}
	return s
}
