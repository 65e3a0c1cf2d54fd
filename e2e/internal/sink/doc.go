// Package sink is the far side of what Handoff does, for tests that count: a mail server, a webhook and a web server with pictures.
// Each is real as far as its protocol goes, and takes a moment, so that a process can be killed between an effect and its record.
package sink
