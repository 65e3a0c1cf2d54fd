package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"reflect"
	"slices"
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
	errs = append(errs, checkNATSURL(c.NATSURL))
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
		unread, parseErrs := parse(c)
		errs = append(errs, parseErrs...)
		if v, ok := c.(Validator); ok {
			errs = append(errs, without(v.Validate(), unread)...)
		}
	}
	if len(errs) > 0 {
		return &ConfigError{errs: errs}
	}
	return nil
}

// parse fills c. Of what can't be read it gives the variables, and for each an error that names it.
func parse(c any) (variables []string, errs []error) {
	err := env.Parse(c)
	if err == nil {
		return nil, nil
	}
	all := []error{err}
	var agg env.AggregateError
	if errors.As(err, &agg) {
		all = agg.Errors
	}
	for i, e := range all {
		var bad env.ParseError
		if errors.As(e, &bad) {
			name, secret := variable(c, bad.Name)
			variables = append(variables, name)
			if secret {
				all[i] = fmt.Errorf("%s can't be read as %s", name, bad.Type)
			} else {
				all[i] = fmt.Errorf("%s is %q: %w", name, os.Getenv(name), bad.Err)
			}
		}
	}
	return variables, all
}

// variable finds what a field of c is read from, and whether its value could hold a password: all that is not a number, a
// time or a choice could.
func variable(c any, field string) (name string, secret bool) {
	f, ok := reflect.TypeOf(c).Elem().FieldByName(field)
	if !ok {
		return field, true
	}
	name, _, _ = strings.Cut(f.Tag.Get("env"), ",")
	switch f.Type.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return name, false
	}
	return name, true
}

// without gives the single errors in err but those about variables that could not be read, whose fields are empty.
func without(err error, variables []string) []error {
	if err == nil {
		return nil
	}
	all := []error{err}
	// Only what errors.Join made: an error that wraps several has words of its own around them.
	joined, ok := err.(interface{ Unwrap() []error })
	if ok && errors.Join(joined.Unwrap()...).Error() == err.Error() {
		all = joined.Unwrap()
	}
	return slices.DeleteFunc(slices.Clone(all), func(err error) bool {
		name, _, _ := strings.Cut(err.Error(), " ")
		return slices.Contains(variables, strings.TrimSuffix(name, ":"))
	})
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
