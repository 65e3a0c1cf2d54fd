// Command mailer sends the welcome e-mail to new users.
package main

import (
	"handoff/services/mailer"
	"handoff/shared/daemon"
)

func main() { daemon.Main("mailer", mailer.Run) }
