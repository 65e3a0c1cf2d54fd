// Package notice is the notifier's own idea: what is said about a new user, and what a [Poster] has to do with it.
//
// [Welcome] turns an event into a [Notice] and hands it to a Poster. The package knows neither Discord nor files (see
// discord and noticefile) and no queue; a Poster's error wraps [ErrRefused] when no further attempt can help, and is a
// [LaterError] when the far side has said when to come back.
package notice
