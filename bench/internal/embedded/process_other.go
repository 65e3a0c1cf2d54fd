//go:build !unix

package embedded

import (
	"os"
	"os/exec"
)

const exeSuffix = ".exe"

func detach(*exec.Cmd) {}

// interrupt ends a process the hard way: no signal can be sent to it here.
func interrupt(p *os.Process) error { return p.Kill() }
