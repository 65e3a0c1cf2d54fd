// Package relay is the one way out: it publishes to JetStream what the log holds, and nothing else in Handoff publishes to a
// stream. Each stream has a lane of its own, so that one that is full or missing holds up no other.
//
// A lane takes accepts in the order of the log and moves the stream's position over those that the server has acknowledged;
// entries (dead letters and the like) pass them. After a crash what lies behind the position is published again: the message id
// is the job's, so the server drops what it has, and the claim skips what it had for too long to know.
package relay
