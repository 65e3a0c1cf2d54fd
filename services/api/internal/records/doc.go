// Package records keeps a second copy of what the api knows of its users, as facts in the stream RECORDS, so that an api that has lost
// its store knows them again. Jobs need no such copy: their events are in the work streams until they have ended.
//
// A [Writer] writes users in the order of their log keys. The stream itself says how far it has come: by the headers of its newest
// message. What it holds may be several copies behind each other: when it has lost something, or is over half and holds much that is
// out of date, the writer begins at the first user again, and purges what was there before once the new copy is whole.
//
// A [Reader] adds the facts to a store that has never met its NATS. Whatever else reads or writes for such a store waits behind the
// reader's [Reader.Gate].
//
// Begin with decide.go, which says what is done about what is there.
package records
