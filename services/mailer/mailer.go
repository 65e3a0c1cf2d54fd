package mailer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"handoff/services/mailer/internal/eml"
	"handoff/services/mailer/internal/mail"
	"handoff/services/mailer/internal/smtp"
	"handoff/shared/daemon"
	"handoff/shared/event"
	"handoff/shared/worker"
)

// Config is what the mailer can be told, beside what every service can.
type Config struct {
	// Driver is where messages go: file writes them below DataDir, smtp sends them to the server of SMTPURL.
	Driver string `env:"MAIL_DRIVER" envDefault:"file"`
	// From is the sender of all messages.
	From string `env:"MAIL_FROM" envDefault:"Handoff <no-reply@localhost>"`
	// SMTPURL is smtp://user:password@host:port?tls=starttls, or tls=implicit or tls=none. It is a secret.
	SMTPURL string `env:"SMTP_URL"`
	// DataDir is where the file driver has its folder.
	DataDir string `env:"DATA_DIR" envDefault:"data"`
}

// Validate implements [daemon.Validator].
func (c *Config) Validate() error {
	var errs []error
	if c.Driver != "file" && c.Driver != "smtp" {
		errs = append(errs, fmt.Errorf("MAIL_DRIVER is %q: use file or smtp", c.Driver))
	}
	if _, err := mail.ParseFrom(c.From); err != nil {
		errs = append(errs, fmt.Errorf("MAIL_FROM is %q: %w", c.From, err))
	}
	if c.Driver == "smtp" && c.SMTPURL == "" {
		errs = append(errs, errors.New("SMTP_URL is missing: MAIL_DRIVER=smtp needs smtp://user:password@host:port"))
	}
	if c.SMTPURL != "" {
		if _, err := smtp.ParseURL(c.SMTPURL); err != nil {
			errs = append(errs, fmt.Errorf("SMTP_URL (not shown, it is a secret): %w", err))
		}
	}
	return errors.Join(errs...)
}

// Run sends welcome e-mails until ctx ends.
func Run(ctx context.Context, p *daemon.Process, cfg Config) error {
	from, err := mail.ParseFrom(cfg.From)
	if err != nil {
		return daemon.BadConfig(fmt.Errorf("MAIL_FROM: %w", err))
	}
	sender, err := newSender(cfg)
	if err != nil {
		return daemon.BadConfig(err)
	}
	welcome, err := mail.NewWelcome(from, sender, p.Log)
	if err != nil {
		return err
	}

	w := worker.New(p.NATS, worker.Config{Service: "mailer", Logger: p.Log, Grace: p.Grace, Metrics: p.Metrics})
	// Enough attempts for a mail server that is away for a few hours.
	spec := worker.Spec{
		Task: "welcome-email", Concurrency: 16, Attempts: 16, Timeout: 30 * time.Second,
		Backoff: worker.Backoff{Base: time.Second, Max: time.Hour},
	}
	worker.Handle(w, spec, func(ctx context.Context, e event.Event[event.UserCreatedData]) (mail.Result, error) {
		result, err := welcome.Handle(ctx, e)
		return result, mark(err)
	})
	p.ReadyWhen(w.Ready)
	return w.Run(ctx)
}

func newSender(cfg Config) (mail.Sender, error) {
	if cfg.Driver != "smtp" {
		s, err := eml.New(cfg.DataDir)
		if err != nil {
			return nil, fmt.Errorf("DATA_DIR is %q: %w", cfg.DataDir, err)
		}
		return s, nil
	}
	u, err := smtp.ParseURL(cfg.SMTPURL)
	if err != nil {
		return nil, fmt.Errorf("SMTP_URL: %w", err)
	}
	helo, err := os.Hostname()
	if err != nil {
		helo = "" // it is a courtesy
	}
	return smtp.New(smtp.Config{URL: u, Helo: helo}), nil
}

// mark tells the worker which errors no further attempt will mend.
func mark(err error) error {
	if errors.Is(err, mail.ErrRefused) {
		return worker.Permanent(err)
	}
	return err
}
