// Package groupcommit measures what bbolt itself can do for an accept: rows as large as an accept's, written by one goroutine for
// many callers, one transaction and one fsync for whatever has queued. What HTTP, JSON, NATS and the services cost is the difference
// to it.
package groupcommit
