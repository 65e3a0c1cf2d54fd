package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// startPatience is how long a child may take until it is ready.
	startPatience = 2 * time.Minute
	// stopPatience is more than the ten seconds that a child allows itself.
	stopPatience = 15 * time.Second
	pollEvery    = 20 * time.Millisecond
	// askPatience is how long one question may take: whoever else has the address may never answer.
	askPatience = time.Second
	// tailBytes is how much of a failed child's log is shown.
	tailBytes = 2048
)

// Options say what is run, and where.
type Options struct {
	// Command is the folder of what is run: [Default] or [API].
	Command string
	// Addr is where it serves HTTP; a free port of the loopback when empty.
	Addr string
	// Dir is where its data is kept, in a directory of its own that is removed at the end; the system's temporary one when empty.
	Dir string
	// Data is its DATA_DIR, if that is to outlive it; one in Dir when empty.
	Data string
	// Env are further variables, such as NATS_URL.
	Env map[string]string
}

// A Child is a running command. [Child.Stop] must be called in the end.
type Child struct {
	// URL is where it serves HTTP.
	URL string
	// Took is how long it took from its start until it was ready.
	Took time.Duration

	dir    string
	cmd    *exec.Cmd
	log    *os.File
	exited chan struct{} // closed once the process is gone
	err    error         // how it went; read after exited
}

// Start builds a command, runs it and waits until it takes requests.
func Start(ctx context.Context, o Options) (_ *Child, err error) {
	dir, err := os.MkdirTemp(o.Dir, "handoff-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a data directory: %w", err)
	}
	c := &Child{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	binary, err := build(ctx, o.Command, dir)
	if err != nil {
		return nil, err
	}
	if o.Addr == "" {
		if o.Addr, err = FreeAddr(ctx); err != nil {
			return nil, err
		}
	}
	nats, err := FreeAddr(ctx)
	if err != nil {
		return nil, err
	}
	c.URL = "http://" + o.Addr
	if o.Data == "" {
		o.Data = filepath.Join(dir, "data")
	}
	env := map[string]string{"ADDR": o.Addr, "NATS_ADDR": nats, "DATA_DIR": o.Data}
	maps.Copy(env, o.Env)
	begun := time.Now()
	if err := c.run(binary, environment(env)); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Command, err)
	}
	if err := c.waitReady(ctx); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Command, err)
	}
	c.Took = time.Since(begun)
	return c, nil
}

// PID is the number of the process.
func (c *Child) PID() int { return c.cmd.Process.Pid }

func (c *Child) run(binary string, env []string) error {
	var err error
	if c.log, err = os.Create(filepath.Join(c.dir, "log")); err != nil {
		return err
	}
	cmd := exec.Command(binary) //nolint:gosec,noctx // our own build; it ends by Stop, which asks first
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, env, c.log, c.log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	c.cmd, c.exited = cmd, make(chan struct{})
	go func() {
		defer close(c.exited)
		c.err = cmd.Wait()
	}()
	return nil
}

func (c *Child) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("it is not ready after %s", startPatience))
	defer cancel()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-c.exited:
			return fmt.Errorf("it ended: %s", c.tail())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-poll.C:
			if answersOK(ctx, c.URL+"/readyz") {
				return nil
			}
		}
	}
}

func answersOK(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// tail is the end of what the child has said.
func (c *Child) tail() string {
	f, err := os.Open(c.log.Name())
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > tailBytes {
		_, _ = f.Seek(-tailBytes, io.SeekEnd)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}

// Stop asks the child to end, waits for it, and removes its data.
func (c *Child) Stop() error {
	err := c.end()
	if c.log != nil {
		_ = c.log.Close()
	}
	if rerr := os.RemoveAll(c.dir); rerr != nil {
		err = errors.Join(err, fmt.Errorf("remove the data directory: %w", rerr))
	}
	return err
}

func (c *Child) end() error {
	if c.cmd == nil {
		return nil
	}
	select {
	case <-c.exited: // by itself, which whoever started or used it has been told
		return nil
	default:
	}
	if err := interrupt(c.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the child: %w", err)
	}
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case <-c.exited:
		if c.err != nil && exeSuffix == "" {
			return fmt.Errorf("the child did not stop cleanly: %w: %s", c.err, c.tail())
		}
		return nil
	case <-patience.C:
		_ = c.cmd.Process.Kill()
		<-c.exited
		return fmt.Errorf("the child did not stop within %s and was killed", stopPatience)
	}
}

// FreeAddr gives an address of the loopback that nobody listens on.
func FreeAddr(ctx context.Context) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	addr := ln.Addr().String()
	return addr, ln.Close()
}
