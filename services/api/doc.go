// Package api is Handoff's front: it answers HTTP requests at once, keeps what was asked for, hands it to the services through
// JetStream and knows how far each job has come. [Run] is its table of contents.
package api
