// Package sink is the world around Handoff for tests that count: a mail server, a webhook, a web server with pictures, and a network
// that can be cut. Each is real as far as its protocol goes, and the far sides take a moment, so that a process can be killed between
// an effect and its record.
package sink
