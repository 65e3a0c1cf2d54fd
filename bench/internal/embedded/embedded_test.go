package embedded

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAChildIsToldNothingThatHasAnEffect(t *testing.T) {
	t.Setenv("SMTP_URL", "smtp://mail.example.com")
	t.Setenv("DISCORD_WEBHOOK_URL", "https://discord.example.com")
	t.Setenv("LOG_LEVEL", "warn")
	env := environment(map[string]string{"ADDR": "127.0.0.1:1"})
	for _, want := range []string{"LOG_LEVEL=warn", "ADDR=127.0.0.1:1", "PATH=" + os.Getenv("PATH")} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, v := range env {
		if strings.HasPrefix(v, "SMTP_URL=") || strings.HasPrefix(v, "DISCORD_WEBHOOK_URL=") {
			t.Errorf("the child is told %s", v)
		}
	}
}

func TestStartSaysWhyTheChildEnded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds and runs cmd/handoff")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	dir := t.TempDir()
	_, err = Start(t.Context(), Options{Command: Default, Addr: ln.Addr().String(), Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("Start: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestStartSaysWhatCannotBeBuilt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Start(t.Context(), Options{Command: "bench/internal/embedded", Dir: dir}) // no command: what is built can't be run
	if err == nil || !strings.Contains(err.Error(), "start bench/internal/embedded") {
		t.Errorf("Start: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
