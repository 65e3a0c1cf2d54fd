package house

import (
	"os/exec"
	"syscall"
)

// endWithUs has the system kill the child when the tests are killed, as by go test's own time limit.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
