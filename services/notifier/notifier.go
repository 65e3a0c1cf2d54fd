package notifier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"handoff/services/notifier/internal/discord"
	"handoff/services/notifier/internal/notice"
	"handoff/services/notifier/internal/noticefile"
	"handoff/shared/daemon"
	"handoff/shared/event"
	"handoff/shared/worker"
)

// Config is what the notifier can be told, beside what every service can.
type Config struct {
	// WebhookURL is where notices are posted, as Discord's settings show it. It is a secret. Empty: they are written below
	// DataDir.
	WebhookURL string `env:"DISCORD_WEBHOOK_URL"`
	// DataDir is where notices go without a webhook.
	DataDir string `env:"DATA_DIR" envDefault:"data"`
}

// Validate implements [daemon.Validator].
func (c *Config) Validate() error {
	if c.WebhookURL == "" {
		return nil
	}
	if _, err := discord.ParseWebhook(c.WebhookURL); err != nil {
		return fmt.Errorf("DISCORD_WEBHOOK_URL (not shown, it is a secret): %w", err)
	}
	return nil
}

// Run posts notices until ctx ends.
func Run(ctx context.Context, p *daemon.Process, cfg Config) error {
	poster, err := newPoster(cfg)
	if err != nil {
		return daemon.BadConfig(err)
	}
	welcome := notice.NewWelcome(poster, p.Log)

	w := worker.New(p.NATS, worker.Config{Service: "notifier", Logger: p.Log, Grace: p.Grace, Metrics: p.Metrics})
	// Few at once: Discord takes a few messages in two seconds. Enough attempts for an outage of a few hours.
	spec := worker.Spec{
		Task: "welcome-notice", Concurrency: 2, Attempts: 16, Timeout: 30 * time.Second,
		Backoff: worker.Backoff{Base: time.Second, Max: time.Hour},
	}
	worker.Handle(w, spec, func(ctx context.Context, e event.Event[event.UserCreatedData]) (notice.Receipt, error) {
		receipt, err := welcome.Handle(ctx, e)
		return receipt, mark(err)
	})
	p.ReadyWhen(w.Ready)
	return w.Run(ctx)
}

func newPoster(cfg Config) (notice.Poster, error) {
	if cfg.WebhookURL == "" {
		p, err := noticefile.New(cfg.DataDir)
		if err != nil {
			return nil, fmt.Errorf("DATA_DIR is %q: %w", cfg.DataDir, err)
		}
		return p, nil
	}
	webhook, err := discord.ParseWebhook(cfg.WebhookURL)
	if err != nil {
		return nil, fmt.Errorf("DISCORD_WEBHOOK_URL: %w", err)
	}
	return discord.New(webhook), nil
}

// mark tells the worker what an error says about itself: that it is final, or when to come back.
func mark(err error) error {
	var later *notice.LaterError
	switch {
	case errors.Is(err, notice.ErrRefused):
		return worker.Permanent(err)
	case errors.As(err, &later):
		return worker.RetryAfter(later.After, err)
	}
	return err
}
