package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"golang.org/x/term"
)

// Common is what every service can be told. A service's own variables are a struct of its own, loaded beside it.
type Common struct {
	// NATSURL is where NATS is, with credentials if it asks for any; several, joined by commas, are one cluster.
	NATSURL string `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222"`
	// HealthAddr serves /livez, /readyz and /metrics; empty for nowhere.
	HealthAddr string `env:"HEALTH_ADDR"`
	// LogLevel is debug, info, warn or error.
	LogLevel slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	// LogFormat is text or json; empty for text on a terminal and json elsewhere.
	LogFormat string `env:"LOG_FORMAT"`
	// Grace is how long what runs may go on after a signal to stop.
	Grace time.Duration `env:"SHUTDOWN_GRACE" envDefault:"10s"`
}

// Validate implements [Validator].
func (c *Common) Validate() error {
	var errs []error
	if c.LogFormat != "" && c.LogFormat != "text" && c.LogFormat != "json" {
		errs = append(errs, fmt.Errorf("LOG_FORMAT is %q: use text or json", c.LogFormat))
	}
	if c.Grace <= 0 || c.Grace > time.Hour {
		errs = append(errs, fmt.Errorf("SHUTDOWN_GRACE is %s: use a time such as 10s, at most 1h", c.Grace))
	}
	if c.HealthAddr != "" {
		errs = append(errs, CheckAddr("HEALTH_ADDR", c.HealthAddr))
	}
	if c.NATSURL == "" {
		errs = append(errs, errors.New("NATS_URL is empty: use an address such as nats://127.0.0.1:4222"))
	}
	return errors.Join(errs...)
}

// CheckAddr says what is wrong with the listening address in a variable; nil when it is host:port.
func CheckAddr(variable, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return fmt.Errorf("%s is %q: use host:port, such as 127.0.0.1:8000", variable, addr)
	}
	return nil
}

// A Validator is a configuration that can say everything that is wrong with it, each error naming its variable.
type Validator interface{ Validate() error }

// ConfigError is everything that is wrong with a process's configuration.
type ConfigError struct{ errs []error }

func (e *ConfigError) Error() string {
	lines := make([]string, 0, len(e.errs))
	for _, err := range e.errs {
		lines = append(lines, strings.Split(err.Error(), "\n")...)
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single errors.
func (e *ConfigError) Unwrap() []error { return e.errs }

// BadConfig makes err one that ends the process with exit code 2: what is wrong is for the operator to change, such as an
// address that is taken or a directory that can't be written.
func BadConfig(err error) error {
	if err == nil {
		return nil
	}
	return &ConfigError{errs: []error{err}}
}

// Load fills each of the given structs (pointers, with tags of github.com/caarlos0/env) from the environment and validates
// them. The error is a [*ConfigError] with all that is wrong.
func Load(configs ...any) error {
	var errs []error
	for _, c := range configs {
		if err := env.Parse(c); err != nil {
			errs = append(errs, readable(c, err)...)
			continue
		}
		if v, ok := c.(Validator); ok {
			if err := v.Validate(); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if len(errs) > 0 {
		return &ConfigError{errs: errs}
	}
	return nil
}

var parseError = regexp.MustCompile(`^parse error on field "(\w+)" of type "([^"]+)": (.*)$`)

// readable names the variable where the library names the field.
func readable(c any, err error) []error {
	all := []error{err}
	var agg env.AggregateError
	if errors.As(err, &agg) {
		all = agg.Errors
	}
	for i, e := range all {
		if m := parseError.FindStringSubmatch(e.Error()); m != nil {
			name := fieldVariable(c, m[1])
			all[i] = fmt.Errorf("%s is %q: %s", name, os.Getenv(name), m[3])
		}
	}
	return all
}

// fieldVariable finds the variable that a field of c is read from.
func fieldVariable(c any, field string) string {
	t := reflect.TypeOf(c).Elem()
	if f, ok := t.FieldByName(field); ok {
		name, _, _ := strings.Cut(f.Tag.Get("env"), ",")
		return name
	}
	return field
}

// NewLog makes a process's log, on standard error.
func NewLog(c *Common) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.LogLevel}
	format := c.LogFormat
	if format == "" {
		format = "json"
		if term.IsTerminal(int(os.Stderr.Fd())) {
			format = "text"
		}
	}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts))
}
