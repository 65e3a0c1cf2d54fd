package house

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
)

// NATSServer is the name of the program of the NATS server.
const NATSServer = "nats-server"

// Services lists the programs that are one service each.
func Services() []string { return []string{"api", "mailer", "notifier", "imager", "tasker"} }

// A House has the built programs. Close it when the tests have run.
type House struct {
	dir    string
	starts chan func()

	mu   sync.Mutex
	port int // the last one that was tried
}

// Build builds programs of the checkout at root: those that are named, or every one. With race they have the race detector in them.
func Build(ctx context.Context, root string, race bool, names ...string) (*House, error) {
	dir, err := os.MkdirTemp("", "handoff-e2e-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the programs: %w", err)
	}
	h := &House{dir: dir, starts: make(chan func()), port: firstPort + rand.IntN(ports)} //nolint:gosec // it need not be secret
	go h.start()
	all := programs()
	if len(names) > 0 {
		all = slices.DeleteFunc(all, func(p program) bool { return !slices.Contains(names, p.name) })
	}
	failed := make([]error, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { failed[i] = h.build(ctx, root, p, race) })
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// Close removes the programs.
func (h *House) Close() {
	close(h.starts)
	_ = os.RemoveAll(h.dir) // it is below the system's folder for what is temporary
}

type program struct{ name, module, pkg string }

func programs() []program {
	all := []program{
		{NATSServer, "e2e", "github.com/nats-io/nats-server/v2"},
		{"handoff", "cmd/handoff", "."},
	}
	for _, s := range Services() {
		all = append(all, program{s, "services/" + s, "./cmd/" + s})
	}
	return all
}

// build runs in the program's module, so that it works in the workspace and, with GOWORK=off, without it.
func (h *House) build(ctx context.Context, root string, p program, race bool) error {
	args := []string{"build", "-ldflags=-s -w", "-o", h.path(p.name)} // no debugger's tables: linking takes half the time
	cgo := "CGO_ENABLED=0"
	if race && p.name != NATSServer {
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	cmd := exec.CommandContext(ctx, "go", append(args, p.pkg)...)
	cmd.Dir = filepath.Join(root, filepath.FromSlash(p.module))
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", p.name, err, out)
	}
	return nil
}

func (h *House) path(name string) string { return filepath.Join(h.dir, name) }

// start starts every process from one thread that lives as long as the house: a child that is to end with its parent ends with
// the thread that started it.
func (h *House) start() {
	runtime.LockOSThread()
	for f := range h.starts {
		f()
	}
}
