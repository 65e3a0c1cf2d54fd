// Package eml keeps messages as files that any mail program opens: the mailer's driver for when there is no mail server.
//
// A message is one file, named after its key, and appears whole or not at all: sending it again writes the same file again.
// It delivers nothing.
package eml
