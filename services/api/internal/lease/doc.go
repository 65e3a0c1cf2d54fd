// Package lease decides which api holds a store. Each has a file of its own, api.db, and says in NATS that it lives; whoever finds
// another there takes no requests. It knows a second api, a copy of the directory, a backup that was put back, and a NATS that
// belongs to another store.
//
// [Decide] is the rule, without clock or NATS. [Lease] reads, asks it and writes by compare-and-set, every few seconds. What an
// old copy has to do before it may go on is in recovery.go.
package lease
