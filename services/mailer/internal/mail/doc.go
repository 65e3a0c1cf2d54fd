// Package mail is the mailer's own idea: what a welcome e-mail says, who it goes to, and what a [Sender] has to do with it.
//
// [Welcome] turns an event into a [Message] and hands it to a Sender. A message is a function of its event and of MAIL_FROM
// alone, so that every attempt renders the same bytes under the same Message-ID and the far side can tell a repetition.
// The package knows no transport (see eml and smtp) and no queue; whatever a Sender refuses for good wraps [ErrRefused].
//
// Start reading at welcome.go.
package mail
