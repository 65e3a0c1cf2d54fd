// Command handoff is everything in one process: an embedded NATS server and the five services on it, each on a connection of its own.
// A service that fails is started again alone. It is how Handoff is tried out, and runs on a single machine; on several, the services
// are run each by its own command.
//
// Start at [run] in main.go; config.go says what can be set, nats.go starts the server, services.go supervises.
package main
