// Package daemon is the life of a process that runs one service: its configuration from the environment, its log, its signals, its
// connection to NATS, its health address and its exit code.
//
//	func main() { daemon.Main("mailer", mailer.Run) }
//
// Exit codes: 0 after a clean stop, 1 when the service failed, 2 when it was configured wrongly, 130 when a second signal cut
// the stop short.
package daemon
