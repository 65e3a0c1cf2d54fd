// Package mailer is the service that sends the welcome e-mail to new users. [Run] is its table of contents: package mail does the
// work of one event; eml and smtp are where a message can go.
package mailer
