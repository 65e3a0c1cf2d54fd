// Package projection is the one way back: it reads what is in the work streams and what services say in their buckets, and has the
// store know it. Everything it reads may come late, twice and out of order between streams; what is known of a job never goes
// backwards (see package job).
//
// Each work stream and each bucket has a [reader] of its own, which acknowledges nothing and can begin again at any time: a
// minute before what it has read, or at the beginning when the stream is not the one it knew. events.go says what a message of a
// work stream changes, records.go what a record does, deadletter.go what is copied to DEAD.
package projection
