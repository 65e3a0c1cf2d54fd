package house

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tail is how many lines of a log are shown when a test fails.
const tail = 60

// A Program is one of Handoff's processes, which can be ended and started again with the same environment. Its methods are to be
// called by one goroutine.
type Program struct {
	Name   string
	Stdout Output
	Stderr Output

	t     testing.TB
	house *House
	dir   string
	env   []string
	cmd   *exec.Cmd
	ended chan struct{} // closed when the run has ended
}

// Program gives a program that is not yet running. dir is its working directory, env all of its environment that matters; what
// it leaves running is killed when the test ends.
func (h *House) Program(t testing.TB, name, dir string, env ...string) *Program {
	p := &Program{Name: name, t: t, house: h, dir: dir, env: env}
	t.Cleanup(p.clean)
	return p
}

// Start starts it.
func (p *Program) Start() {
	p.t.Helper()
	if p.Running() {
		p.t.Fatalf("%s runs already", p.Name)
	}
	// Kept by hand: with the context of a test a process would be killed before the test's own cleanups had run.
	cmd := exec.Command(p.house.path(p.Name)) //nolint:noctx // see above
	if p.Name == NATSServer {
		cmd.Args = append(cmd.Args, "-c", "nats.conf")
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, &p.Stdout, &p.Stderr
	// Not the environment of whoever runs the tests: it may be set up for a Handoff of its own.
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "TMPDIR=" + os.TempDir()}, p.env...)
	cmd.WaitDelay = 5 * time.Second
	endWithUs(cmd)
	started := make(chan error)
	p.house.starts <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		p.t.Fatalf("start %s: %v", p.Name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the exit code is asked for where it matters
		close(ended)
	}()
	p.cmd, p.ended = cmd, ended
}

// Running reports whether the process is there.
func (p *Program) Running() bool {
	if p.ended == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the process.
func (p *Program) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("send %v to %s: %v", s, p.Name, err)
	}
}

// Setenv has the next start see more variables, "NAME=value", instead of others of the same name.
func (p *Program) Setenv(env ...string) { p.env = append(p.env, env...) }

// PID is the id of the process that was started last.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Exit waits until the process has ended and gives its exit code; -1 when a signal ended it.
func (p *Program) Exit(within time.Duration) int {
	p.t.Helper()
	limit := time.NewTimer(within)
	defer limit.Stop()
	select {
	case <-p.ended:
	case <-limit.C:
		p.t.Fatalf("%s still runs after %s", p.Name, within)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Kill ends the process at once, as a crash does, and waits for its end.
func (p *Program) Kill() {
	p.t.Helper()
	p.Signal(os.Kill)
	p.Exit(Patience)
}

// Stop asks the process to end, and fails the test unless it ends cleanly.
func (p *Program) Stop() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	if code := p.Exit(Patience); code != 0 && p.Name != NATSServer { // which says 1 when a signal ended it
		p.t.Errorf("%s ended with exit code %d after SIGTERM", p.Name, code)
	}
}

// clean leaves nothing behind.
func (p *Program) clean() {
	if p.Running() {
		if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			p.t.Errorf("kill %s: %v", p.Name, err)
		}
		<-p.ended
	}
	if strings.Contains(p.Stderr.String(), "WARNING: DATA RACE") {
		p.t.Errorf("%s has a data race", p.Name)
	}
	if p.t.Failed() && p.ended != nil {
		p.t.Logf("the end of what %s wrote:\n%s\n%s", p.Name, p.Stdout.Tail(tail), p.Stderr.Tail(tail))
	}
}
