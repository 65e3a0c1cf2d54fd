// Command imager processes pictures. Its variables are in the service's README.
package main

import (
	"handoff/services/imager"
	"handoff/shared/daemon"
)

func main() { daemon.Main("imager", imager.Run) }
