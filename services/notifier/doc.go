// Package notifier is the service that tells a Discord channel of new users. [Run] is its table of contents: package notice does
// the work of one event; discord and noticefile are where a notice can go.
package notifier
