package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"handoff/shared/daemon"
)

// TestMain makes the test binary a service when it is started as one by a test.
func TestMain(m *testing.M) {
	if os.Getenv("PROBE") != "" {
		daemon.Main("probe", probe)
		return
	}
	os.Exit(m.Run())
}

type probeConfig struct {
	Do    string `env:"PROBE"`
	Count int    `env:"PROBE_COUNT" envDefault:"1"`
}

func probe(ctx context.Context, p *daemon.Process, cfg probeConfig) error {
	p.Log.Debug("Probing", "grace", p.Grace)
	switch cfg.Do {
	case "fail":
		return errors.New("it broke")
	case "misconfigured":
		return fmt.Errorf("begin: %w", daemon.BadConfig(errors.New("DATA_DIR can't be written")))
	case "wait unready":
		p.ReadyWhen(func() error { return errors.New("stream USERS is missing") })
	case "hang":
		p.ReadyWhen(func() error { return nil })
		<-ctx.Done()
		fmt.Fprintln(os.Stderr, "hanging")
		time.Sleep(time.Hour)
	default:
		p.ReadyWhen(func() error { return nil })
	}
	<-ctx.Done()
	return nil
}

// A child is a process of the test binary.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	done   chan struct{} // closed when it has ended
	stdout output
	stderr output
}

// output is what a process has written so far.
type output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start runs the probe with the given variables and arguments; no NATS answers at its address unless they say otherwise.
func start(t *testing.T, env []string, args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(exe, args...), done: make(chan struct{})}
	c.cmd.Env = append([]string{"PROBE=wait", "NATS_URL=nats://127.0.0.1:1", "GORACE=" + os.Getenv("GORACE")}, env...)
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // its exit code is in ProcessState
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // fails when it has ended
		<-c.done
	})
	return c
}

// exit waits for the end and gives the exit code.
func (c *child) exit() int {
	c.t.Helper()
	select {
	case <-c.done:
		return c.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		c.t.Fatalf("still running; it said:\n%s", c.stderr.String())
		return 0
	}
}

// says waits until the process has written what the pattern finds, and gives its groups.
func (c *child) says(pattern string) []string {
	c.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if m := re.FindStringSubmatch(c.stderr.String()); m != nil {
			return m
		}
		select {
		case <-c.done:
			if m := re.FindStringSubmatch(c.stderr.String()); m != nil {
				return m
			}
			c.t.Fatalf("ended without saying %q:\n%s", pattern, c.stderr.String())
		default:
		}
	}
	c.t.Fatalf("does not say %q, only:\n%s", pattern, c.stderr.String())
	return nil
}

func (c *child) signal(s os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		env  []string
		args []string
		code int
		says string // the whole of standard error, as a pattern
	}{
		"the service fails":            {[]string{"PROBE=fail", "LOG_LEVEL=error"}, nil, 1, `^probe: it broke\n$`},
		"the service is misconfigured": {[]string{"PROBE=misconfigured", "LOG_LEVEL=error"}, nil, 2, `^probe can't start:\nDATA_DIR can't be written\n$`},
		"two variables are wrong": {
			[]string{"PROBE_COUNT=x", "LOG_FORMAT=xml"}, nil, 2,
			`^probe can't start:\nLOG_FORMAT is "xml": use text or json\nPROBE_COUNT is "x": .*\n$`,
		},
		"a password in a wrong address": {[]string{"NATS_URL=nats://u:s3cr3t/x@host"}, nil, 2, `^probe can't start:\nNATS_URL is "nats://host": .*\n$`},
		"the health address is no address": {
			[]string{"HEALTH_ADDR=203.0.113.1:9"}, nil, 2, `^probe can't start:\nHEALTH_ADDR: listen tcp 203.0.113.1:9: .*\n$`,
		},
		"an argument":     {nil, []string{"serve"}, 2, `^probe can't start:\nunexpected argument "serve": everything is set by variables\n$`},
		"an unknown flag": {nil, []string{"-verbose"}, 2, `^probe can't start:\nflag provided but not defined: -verbose\n$`},
		"help":            {nil, []string{"-help"}, 0, `^$`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, tt.env, tt.args...)
			if code := c.exit(); code != tt.code || !regexp.MustCompile(tt.says).MatchString(c.stderr.String()) {
				t.Errorf("exit code %d, want %d; it said:\n%s", code, tt.code, c.stderr.String())
			}
			if name == "help" && !strings.Contains(c.stdout.String(), "-health") {
				t.Errorf("the help is %q", c.stdout.String())
			}
		})
	}
}

func TestStopsCleanlyAtTheFirstSignal(t *testing.T) {
	t.Parallel()
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			c := start(t, nil)
			c.says(`"msg":"Starting"`)
			c.signal(s)
			if code := c.exit(); code != 0 || !strings.Contains(c.stderr.String(), `"msg":"Stopped"`) {
				t.Errorf("exit code %d; it said:\n%s", code, c.stderr.String())
			}
		})
	}
}

func TestStopsAtOnceAtTheSecondSignal(t *testing.T) {
	t.Parallel()
	c := start(t, []string{"PROBE=hang", "HEALTH_ADDR=127.0.0.1:0"})
	url := c.says(`"url":"(http://[^"]+)"`)[1]
	c.says(`"msg":"Starting"`)
	c.signal(os.Interrupt)
	c.says("hanging")
	waitFor(t, func() bool { return strings.Contains(get(t, url), "stopping") })
	c.signal(os.Interrupt)
	if code := c.exit(); code != 130 || !strings.Contains(c.stderr.String(), "Stopped at once by a second signal") {
		t.Errorf("exit code %d; it said:\n%s", code, c.stderr.String())
	}
}

func TestLogFormats(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env   []string
		json  bool
		debug bool
	}{
		"json where it is no terminal": {nil, true, false},
		"json":                         {[]string{"LOG_FORMAT=json", "LOG_LEVEL=debug"}, true, true},
		"text":                         {[]string{"LOG_FORMAT=text"}, false, false},
		"text in detail":               {[]string{"LOG_FORMAT=text", "LOG_LEVEL=DEBUG"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, tt.env)
			c.says("Starting")
			c.signal(os.Interrupt)
			if code := c.exit(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			out := c.stderr.String()
			if strings.Contains(out, "Probing") != tt.debug {
				t.Errorf("debug %v, it said:\n%s", tt.debug, out)
			}
			for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
				var fields map[string]any
				isJSON := json.Unmarshal([]byte(line), &fields) == nil
				if isJSON != tt.json || isJSON && fields["service"] != "probe" || !isJSON && !strings.Contains(line, "service=probe") {
					t.Errorf("json %v: %s", tt.json, line)
				}
			}
		})
	}
}
