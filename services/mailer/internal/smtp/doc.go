// Package smtp sends messages to a mail server: the mailer's driver for real mail.
//
// Each message gets a connection of its own, which lives no longer than the context of its [Sender.Send]. A server that says
// no to the recipient or to the message (a reply of 5xx) has said so for good: the error wraps mail.ErrRefused. Everything
// else (no connection, no TLS, credentials refused, sender refused, 4xx) can be cured by time or by an operator.
//
// One window stays: when the connection breaks between the end of the message and the server's answer, the next attempt
// sends it again, under the same Message-ID.
package smtp
