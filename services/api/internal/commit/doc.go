// Package commit is the one writer of the api's store. Whoever has something to write hands a function to the [Committer], which
// runs all that have queued against one [View], writes what they changed in one transaction with one fsync, and then tells
// each how it went. That is what makes an accept cheap, and every decision about what is stored sequential.
//
// It knows jobs, users and the log, and no database: see [Store].
package commit
