package daemon_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"handoff/shared/daemon"
)

// own is a service's configuration with every kind of variable.
type own struct {
	Count  int           `env:"T_COUNT" envDefault:"3"`
	Wait   time.Duration `env:"T_WAIT" envDefault:"2s"`
	Name   string        `env:"T_NAME,required"`
	Target url.URL       `env:"T_TARGET"`
	Token  int           `env:"T_OTHER"`
}

func (o *own) Validate() error {
	var errs []error
	if o.Count < 1 {
		errs = append(errs, fmt.Errorf("T_COUNT is %d: use at least 1", o.Count))
	}
	if o.Wait < time.Second {
		errs = append(errs, fmt.Errorf("T_WAIT: %w, %w", errors.New("too short"), errors.New("really")))
	}
	if o.Token > 5 {
		errs = append(errs, errors.New("T_OTHER is too large"))
	}
	return errors.Join(errs...)
}

func setenv(t *testing.T, vars map[string]string) {
	t.Helper()
	for _, name := range []string{"NATS_URL", "HEALTH_ADDR", "LOG_LEVEL", "LOG_FORMAT", "SHUTDOWN_GRACE"} {
		t.Setenv(name, "") // so that it is put back
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range vars {
		t.Setenv(name, value)
	}
}

func TestLoadDefaults(t *testing.T) {
	setenv(t, map[string]string{"T_NAME": "n"})
	var common daemon.Common
	var mine own
	if err := daemon.Load(&common, &mine); err != nil {
		t.Fatal(err)
	}
	if want := (daemon.Common{NATSURL: "nats://127.0.0.1:4222", LogLevel: slog.LevelInfo, Grace: 10 * time.Second}); common != want {
		t.Errorf("got %+v", common)
	}
	if mine.Count != 3 || mine.Wait != 2*time.Second || mine.Name != "n" {
		t.Errorf("got %+v", mine)
	}
}

func TestLoadReads(t *testing.T) {
	setenv(t, map[string]string{
		"NATS_URL": "nats://u:p@a:1,nats://b:2", "HEALTH_ADDR": ":9090", "LOG_LEVEL": "WARN", "LOG_FORMAT": "json", "SHUTDOWN_GRACE": "1m",
	})
	var got daemon.Common
	if err := daemon.Load(&got); err != nil {
		t.Fatal(err)
	}
	if want := (daemon.Common{NATSURL: "nats://u:p@a:1,nats://b:2", HealthAddr: ":9090", LogLevel: slog.LevelWarn, LogFormat: "json", Grace: time.Minute}); got != want {
		t.Errorf("got %+v", got)
	}
}

func TestLoadSaysAllThatIsWrong(t *testing.T) {
	setenv(t, map[string]string{
		"NATS_URL": "http://u:s3cr3t@host", "HEALTH_ADDR": "9090", "LOG_LEVEL": "loud", "LOG_FORMAT": "xml", "SHUTDOWN_GRACE": "soon",
		"T_COUNT": "many", "T_WAIT": "1ms", "T_TARGET": "http://u:s3cr3t@a b/", "T_OTHER": "9",
	})
	err := daemon.Load(&daemon.Common{}, &own{})
	var bad *daemon.ConfigError
	if !errors.As(err, &bad) {
		t.Fatalf("got %v", err)
	}
	lines := strings.Split(err.Error(), "\n")
	want := []string{
		`NATS_URL is "http://host": http is not one of`,
		`HEALTH_ADDR is "9090": use host:port`,
		`LOG_LEVEL is "loud": slog: level string`,
		`LOG_FORMAT is "xml": use text or json`,
		`SHUTDOWN_GRACE is "soon": unable to parse duration`,
		`T_COUNT is "many": `,
		`T_WAIT: too short, really`,
		`required environment variable "T_NAME" is not set`,
		`T_TARGET can't be read as url.URL`,
		`T_OTHER is too large`,
	}
	for _, w := range want {
		if strings.Count(err.Error(), w) != 1 {
			t.Errorf("%q is not there once", w)
		}
	}
	if len(lines) != len(want) || len(bad.Unwrap()) != len(want) || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("got %d lines, %d errors:\n%v", len(lines), len(bad.Unwrap()), err)
	}
}

func TestLoadBounds(t *testing.T) {
	for value, says := range map[string]string{"0s": "SHUTDOWN_GRACE is 0s", "-1s": "SHUTDOWN_GRACE is -1s", "61m": "SHUTDOWN_GRACE is 1h1m0s"} {
		setenv(t, map[string]string{"SHUTDOWN_GRACE": value})
		if err := daemon.Load(&daemon.Common{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v", value, err)
		}
	}
}

func TestCheckAddr(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"127.0.0.1:8000", ":8000", "[::]:8000", "localhost:0", "0.0.0.0:1"} {
		if err := daemon.CheckAddr("ADDR", good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "8000", "127.0.0.1", "127.0.0.1:", "::1:8000", "http://a:1"} {
		if err := daemon.CheckAddr("ADDR", bad); err == nil || !strings.Contains(err.Error(), "ADDR is ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestExit(t *testing.T) {
	t.Parallel()
	bad := daemon.BadConfig(errors.New("wrong"))
	for _, tt := range []struct {
		err  error
		code int
	}{{nil, 0}, {errors.New("failed"), 1}, {bad, 2}, {fmt.Errorf("wrapped: %w", bad), 2}, {errors.Join(errors.New("a"), bad), 2}, {daemon.BadConfig(nil), 0}} {
		if got := daemon.Exit("test", tt.err); got != tt.code {
			t.Errorf("%v: exit code %d, want %d", tt.err, got, tt.code)
		}
	}
}
