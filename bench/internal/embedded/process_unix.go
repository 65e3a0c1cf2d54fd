//go:build unix

package embedded

import (
	"os"
	"os/exec"
	"syscall"
)

const exeSuffix = ""

// detach keeps a terminal's Ctrl-C from the child: it is told by us, once, since a second signal would cut its end short.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func interrupt(p *os.Process) error { return p.Signal(os.Interrupt) }
