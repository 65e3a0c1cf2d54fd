// Package embedded builds Handoff's commands from this checkout and runs them as child processes on data of their own, for as long
// as a measurement takes. It measures nothing itself.
//
// Start at [Start] in child.go; build.go makes the binary.
package embedded
