package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// What can be run: folders of the checkout.
const (
	Default = "cmd/handoff"          // everything in one process
	API     = "services/api/cmd/api" // the api alone
	fill    = "services/api/internal/fill"
)

// build makes the binary of a folder of the checkout and gives its path in dir.
func build(ctx context.Context, folder, dir string) (string, error) {
	root, err := checkout(ctx)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, filepath.Base(folder)+exeSuffix)
	// In its own folder: there the command builds with the workspace and, each module alone, without.
	if _, err := goTool(ctx, filepath.Join(root, filepath.FromSlash(folder)), "build", "-o", binary, "."); err != nil {
		return "", fmt.Errorf("build %s: %w", folder, err)
	}
	return binary, nil
}

// checkout is the folder that holds the modules, found from this one's.
func checkout(ctx context.Context) (string, error) {
	out, err := goTool(ctx, "", "list", "-m", "-f", "{{.Dir}}", "handoff/bench")
	if err != nil {
		return "", fmt.Errorf("find the checkout (run this inside it): %w", err)
	}
	return filepath.Dir(strings.TrimSpace(out)), nil
}

func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // only what this package asks for
	cmd.Dir = dir
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	detach(cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if text := strings.TrimSpace(stderr.String()); err != nil && text != "" {
		return "", errors.New(text)
	}
	return string(out), err
}

// environment is what a child is told. Of the caller's it gets only what it can't do without and what changes no effect: a
// measurement must not mail anybody because a server's address happened to be set.
func environment(own map[string]string) []string {
	var env []string
	for _, name := range []string{
		"PATH", "HOME", "TMPDIR", "TMP", "TEMP", "SYSTEMROOT", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG", "LOG_LEVEL",
	} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	for name, v := range own {
		env = append(env, name+"="+v)
	}
	return env
}
