// Command tasker does the demo's pretended work.
package main

import (
	"handoff/services/tasker"
	"handoff/shared/daemon"
)

func main() { daemon.Main("tasker", tasker.Run) }
