// Package trim is the one remover: it purges what has ended from the work streams, then the records that nobody needs any more from
// the buckets, and has old jobs leave the store.
//
// [Plan] is the rule, a function of what was read: start there. see.go reads, in an order that matters; do.go purges; [Pruner] has
// jobs leave the store. The [Trimmer] does all this every second, while the gate is open.
package trim
