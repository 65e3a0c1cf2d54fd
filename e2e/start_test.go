package e2e_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handoff/e2e/internal/house"
)

// listen takes an address and holds it until the test ends.
func listen(t *testing.T, addr string) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
}

// What keeps cmd/handoff from starting is said in one message, it ends with 2, and nothing of it stays.
func TestStartThatCantBe(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, api, nats, dir string) (env []string)
		says  []string // each in a line of its own
	}{
		"API address is taken": {func(t *testing.T, api, _, _ string) []string {
			listen(t, api)
			return nil
		}, []string{"ADDR: listen tcp {api}: bind: address already in use"}},
		"NATS address is taken": {func(t *testing.T, _, nats, _ string) []string {
			listen(t, nats)
			return nil
		}, []string{"NATS_ADDR={nats}"}},
		"directory below a file": {func(t *testing.T, _, _, dir string) []string {
			file := filepath.Join(dir, "file")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{"DATA_DIR=" + filepath.Join(file, "data")}
		}, []string{"DATA_DIR: mkdir {dir}/file: not a directory"}},
		"directory that can't be written": {func(t *testing.T, _, _, dir string) []string {
			if os.Getuid() == 0 { // whom the system lets write wherever that can be done at all
				return []string{"DATA_DIR=" + unwritable(t)}
			}
			if err := os.Chmod(dir, 0o500); err != nil { //nolint:gosec // it is a directory
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(dir, 0o700) }) //nolint:gosec // as above
			return nil
		}, []string{"DATA_DIR"}},
		"wrong variables": {func(*testing.T, string, string, string) []string {
			return []string{
				"ADDR=nowhere", "NATS_ADDR=127.0.0.1", "LOG_FORMAT=xml", "LOG_LEVEL=loud", "SHUTDOWN_GRACE=soon", "HISTORY=maybe",
				"MAIL_DRIVER=pigeon", "IMAGE_ALLOW=example.org", "DISCORD_WEBHOOK_URL=secret", "IMAGE_MAX_PIXELS=0", "NATS_SYNC_INTERVAL=-1s",
			}
		}, []string{
			"ADDR is \"nowhere\"", "NATS_ADDR is", "LOG_LEVEL is", "LOG_FORMAT is", "SHUTDOWN_GRACE is", "HISTORY is", "MAIL_DRIVER is", "IMAGE_ALLOW",
			"DISCORD_WEBHOOK_URL (not shown", "IMAGE_MAX_PIXELS is", "NATS_SYNC_INTERVAL is",
		}},
		"wrong variables of one kind": {func(*testing.T, string, string, string) []string {
			return []string{"LOG_FORMAT=xml", "SHUTDOWN_GRACE=0s", "MAIL_FROM=nobody", "LOG_RETENTION=10ms", "NATS_MAX_STORE=5"}
		}, []string{"LOG_FORMAT is \"xml\"", "SHUTDOWN_GRACE is", "MAIL_FROM is", "LOG_RETENTION is", "NATS_MAX_STORE is"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, nats, dir := home(t).Addr(t), home(t).Addr(t), t.TempDir()
			env := append([]string{"ADDR=" + api, "NATS_ADDR=" + nats, "DATA_DIR=" + dir, "NATS_MAX_STORE=268435456"}, tt.spoil(t, api, nats, dir)...)
			handoff := home(t).Program(t, "handoff", dir, env...)
			handoff.Start()
			fill := strings.NewReplacer("{api}", api, "{nats}", nats, "{dir}", dir)
			var says []string
			for _, s := range tt.says {
				says = append(says, fill.Replace(s))
			}
			refused(t, handoff, says)
			if strings.Contains(handoff.Stdout.String(), "http://") {
				t.Errorf("it says that it serves: %s", handoff.Stdout.String())
			}
			nothingLeft(t, name, api, nats)
		})
	}
}

// unwritable is a directory that not even root can make a file in.
func unwritable(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("/proc/self"); err != nil {
		missing(t, "no directory that can't be written: the tests run as root, and there is no /proc")
	}
	return "/proc"
}

// refused waits for the end of a start that can't be, and checks what is said of it: one message, with these lines.
func refused(t *testing.T, p *house.Program, says []string) {
	t.Helper()
	if code := p.Exit(house.Patience); code != 2 {
		t.Errorf("the exit code is %d, want 2", code)
	}
	log, message := p.Stderr.Lines()
	for _, l := range log {
		if l.Level == "ERROR" {
			t.Errorf("it is said in the log too: %+v", l)
		}
	}
	lines := strings.Split(strings.TrimSuffix(message, "\n"), "\n")
	if lines[0] != p.Name+" can't start:" || len(lines) != 1+len(says) {
		t.Errorf("the message is not one line for each of %q:\n%s", says, message)
	}
	for _, want := range says {
		if !strings.Contains(message, want) {
			t.Errorf("the message does not say %q:\n%s", want, message)
		}
	}
	if strings.Contains(message, "goroutine ") {
		t.Errorf("the message has a stack:\n%s", message)
	}
}

// nothingLeft checks that the addresses which the test has not taken itself are free again.
func nothingLeft(t *testing.T, name, api, nats string) {
	t.Helper()
	if name != "API address is taken" && !house.Free(api) {
		t.Errorf("somebody listens on %s", api)
	}
	if name != "NATS address is taken" && !house.Free(nats) {
		t.Errorf("somebody listens on %s", nats)
	}
}

// A second handoff on the same directory is refused and leaves the first alone.
func TestDirectoryHasOneOwner(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t).Start()
	second := home(t).Program(t, "handoff", s.Dir, "ADDR="+home(t).Addr(t), "NATS_ADDR="+home(t).Addr(t), "DATA_DIR="+s.Dir)
	second.Start()
	refused(t, second, []string{`DATA_DIR is "` + s.Dir + `": another handoff uses it; stop that one, or choose another directory`})
	s.AwaitState(s.Register("/users/").JobID, "succeeded")

	// Nor does a start that failed for another reason keep the directory.
	s.Program("handoff").Stop()
	listener := home(t).Addr(t)
	listen(t, listener)
	third := home(t).Program(t, "handoff", s.Dir, "ADDR="+listener, "NATS_ADDR="+home(t).Addr(t), "DATA_DIR="+s.Dir)
	third.Start()
	refused(t, third, []string{"ADDR: listen tcp " + listener})
	s.Start()
	s.Get("/users/").Is(http.StatusOK)
}

// A service on its own says as clearly what is wrong with it.
func TestServiceThatCantStart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ service, env, says string }{
		"mailer":   {"mailer", "MAIL_DRIVER=smtp", "SMTP_URL is missing"},
		"notifier": {"notifier", "DISCORD_WEBHOOK_URL=ftp://x", "DISCORD_WEBHOOK_URL (not shown"},
		"imager":   {"imager", "IMAGE_MEMORY=1", "IMAGE_MEMORY is 1"},
		"api":      {"api", "ADDR=8000", `ADDR is "8000"`},
		"tasker":   {"tasker", "HEALTH_ADDR=8080", `HEALTH_ADDR is "8080"`},
		"NATS":     {"tasker", "NATS_URL=nats://%zz", "NATS_URL is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := home(t).Program(t, tt.service, t.TempDir(), tt.env)
			p.Start()
			refused(t, p, []string{tt.says})
		})
	}
}
