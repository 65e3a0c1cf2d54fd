package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"handoff/shared/daemon"
	"handoff/shared/natstest"
)

func TestOwnAddressIsReachable(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"127.0.0.1:8000": "127.0.0.1:8000", "0.0.0.0:80": "127.0.0.1:80", ":8000": "127.0.0.1:8000", "[::]:1": "127.0.0.1:1",
		"localhost:8000": "localhost:8000",
	} {
		if got := dialable(listen); got != want {
			t.Errorf("dialable(%q) is %q, want %q", listen, got, want)
		}
	}
}

func TestConfigSaysAllThatIsWrong(t *testing.T) {
	for name, value := range map[string]string{
		"NATS_ADDR": "4222", "NATS_SYNC_INTERVAL": "-1s", "ADDR": "x", "MAIL_DRIVER": "pigeon", "IMAGE_MAX_PIXELS": "0", "LOG_FORMAT": "xml",
	} {
		t.Setenv(name, value)
	}
	_, err := loadConfig()
	var bad *daemon.ConfigError
	if !errors.As(err, &bad) {
		t.Fatalf("loadConfig: %v, want a ConfigError", err)
	}
	for _, name := range []string{"NATS_ADDR", "NATS_SYNC_INTERVAL", "ADDR", "MAIL_DRIVER", "IMAGE_MAX_PIXELS", "LOG_FORMAT"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in:\n%v", name, err)
		}
	}
}

func testConfig(t *testing.T) *config {
	t.Helper()
	t.Setenv("DATA_DIR", t.TempDir())
	t.Setenv("NATS_ADDR", natstest.Addr(t))
	cfg, err := loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestServiceThatPanicsOrFailsIsStartedAgainAlone(t *testing.T) {
	cfg := testConfig(t)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	nats, err := startNATS(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	defer nats.stop()
	cfg.Common.NATSURL = nats.url()

	var falls, others atomic.Int32
	stood := make(chan struct{})
	s := &services{log: log}
	s.tree = newTree(s, cfg)
	add(s, cfg, daemon.NewRegistry(), "falling", func(ctx context.Context, _ *daemon.Process, _ struct{}) error {
		switch falls.Add(1) {
		case 1:
			panic("fallen")
		case 2:
			return errors.New("failed")
		}
		close(stood)
		<-ctx.Done()
		return nil
	}, struct{}{})
	add(s, cfg, daemon.NewRegistry(), "standing", func(ctx context.Context, _ *daemon.Process, _ struct{}) error {
		others.Add(1)
		<-ctx.Done()
		return nil
	}, struct{}{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	select {
	case <-stood:
	case <-time.After(30 * time.Second):
		t.Fatal("it is not started again")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	if n := others.Load(); n != 1 {
		t.Errorf("the other service was started %d times", n)
	}
}

func TestServiceThatIsConfiguredWronglyEndsAll(t *testing.T) {
	cfg := testConfig(t)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	s := &services{log: log}
	s.tree = newTree(s, cfg)
	add(s, cfg, daemon.NewRegistry(), "wrong", func(context.Context, *daemon.Process, struct{}) error {
		return daemon.BadConfig(errors.New("ADDR is taken"))
	}, struct{}{})
	err := s.run(t.Context())
	var bad *daemon.ConfigError
	if !errors.As(err, &bad) {
		t.Errorf("run: %v, want the ConfigError", err)
	}
}
