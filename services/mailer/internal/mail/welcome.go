package mail

import (
	"context"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"log/slog"
	netmail "net/mail"
	"strings"
	texttemplate "text/template"

	"handoff/shared/event"
)

//go:embed templates
var templates embed.FS

// Welcome sends the welcome e-mail to a new user.
type Welcome struct {
	from   netmail.Address
	sender Sender
	log    *slog.Logger
	text   *texttemplate.Template
	html   *htmltemplate.Template
}

// NewWelcome gives a Welcome that writes in the name of from, which is as [ParseFrom] gives it.
func NewWelcome(from netmail.Address, sender Sender, log *slog.Logger) (*Welcome, error) {
	text, err := texttemplate.ParseFS(templates, "templates/welcome.txt")
	if err != nil {
		return nil, fmt.Errorf("read the text of the welcome e-mail: %w", err)
	}
	html, err := htmltemplate.ParseFS(templates, "templates/welcome.html")
	if err != nil {
		return nil, fmt.Errorf("read the HTML of the welcome e-mail: %w", err)
	}
	return &Welcome{from: from, sender: sender, log: log, text: text, html: html}, nil
}

// A Result is what a task of the mailer leaves in its record.
type Result struct {
	MessageID string `json:"message_id"` // without angle brackets
	Receipt
}

// Handle sends the welcome e-mail that e asks for. The error wraps [ErrRefused] when another attempt would end the same.
func (w *Welcome) Handle(ctx context.Context, e event.Event[event.UserCreatedData]) (Result, error) {
	m, err := w.Compose(e)
	if err != nil {
		return Result{}, fmt.Errorf("compose welcome e-mail for user %s: %w", e.Data.UserID, err)
	}
	verb := "Sending"
	if w.sender.Simulated() {
		verb = "Simulating sending"
	}
	// These two lines are the ones that the original demo printed, word for word: people and scripts look for them.
	log := w.log.With("job", e.ID)
	log.InfoContext(ctx, fmt.Sprintf("%s welcome email to %s", verb, e.Data.Email)) //nolint:sloglint // the demo's line
	receipt, err := w.sender.Send(ctx, m)
	if err != nil {
		return Result{}, fmt.Errorf("send welcome e-mail to user %s: %w", e.Data.UserID, err)
	}
	name := oneLine(e.Data.Username)
	log.InfoContext(ctx, fmt.Sprintf("Welcome email sent to %s at %s!", name, e.Data.Email)) //nolint:sloglint // the demo's line
	return Result{MessageID: m.ID, Receipt: receipt}, nil
}

// Compose gives the welcome e-mail of e: the same for every attempt.
func (w *Welcome) Compose(e event.Event[event.UserCreatedData]) (*Message, error) {
	to, err := parseRecipient(e.Data.Email)
	if err != nil {
		return nil, err
	}
	name := oneLine(e.Data.Username)
	to.Name = headerText(name)
	words := struct{ Name, Email string }{name, to.Address}
	var text, html strings.Builder
	if err := w.text.Execute(&text, words); err != nil {
		return nil, fmt.Errorf("render the text: %w", err)
	}
	if err := w.html.Execute(&html, words); err != nil {
		return nil, fmt.Errorf("render the HTML: %w", err)
	}
	return &Message{
		Key:     e.Key(),
		ID:      e.Key() + "@" + domain(w.from.Address),
		Date:    e.Time,
		From:    w.from,
		To:      to,
		Subject: headerText("Welcome, " + name + "!"),
		Text:    text.String(),
		HTML:    html.String(),
	}, nil
}
