// Package noticefile keeps notices as JSON files: what the notifier does without a webhook.
//
// A notice is one file, named after its key, and appears whole or not at all: posting it again writes the same file again.
package noticefile
