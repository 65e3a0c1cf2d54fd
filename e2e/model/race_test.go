//go:build race

package model

// Nothing here runs at the same time as anything else, so the race detector is only spared the long runs.
const underRace = true
