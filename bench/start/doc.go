// Command start measures how long an api with a large api.db takes until it is ready, and how much memory it then holds: with a million
// users whose job has ended, and a hundred thousand accepts of which NATS has not been told.
//
// Start at [run] in main.go.
package main
