// Package reconcile looks after what Handoff needs in NATS: streams, buckets and consumers. After every connect, and from time
// to time, it makes what is missing (package stream says what there is) and compares what is there with what was known: what NATS
// has lost is put back from the store. Until that is done the [Reconciler]'s gates are closed, at which the relay and the
// projection wait: nothing is published to, or read from, a NATS that has not been looked after.
//
// look.go finds out, plan.go decides, restore.go puts back in five steps, records.go what belongs into the buckets.
package reconcile
