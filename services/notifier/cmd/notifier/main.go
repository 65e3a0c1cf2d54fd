// Command notifier tells a Discord channel of new users.
package main

import (
	"handoff/services/notifier"
	"handoff/shared/daemon"
)

func main() { daemon.Main("notifier", notifier.Run) }
