// Command accept measures how many registrations a second (POST /users/) Handoff accepts, and beside it, in the same run and on the
// same disk, what bbolt itself does with one fsync for as many rows: the ratio is comparable between machines, the figures are not.
// It starts the embedded default, or the api alone, as a child process with data of its own.
//
// Start at [run] in main.go; load.go sends, report.go prints, nats.go is for the api alone.
package main
