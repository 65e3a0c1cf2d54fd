// Command api answers HTTP requests and hands the work to the services.
package main

import (
	"handoff/services/api"
	"handoff/shared/daemon"
)

func main() { daemon.Main("api", api.Run) }
