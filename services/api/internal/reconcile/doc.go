// Package reconcile looks after what Handoff needs in NATS: streams, buckets and consumers. After every connect, and from time
// to time, it makes what is missing (package stream says what there is). Until that is done the [Reconciler]'s gate is closed, at
// which the relay and the projection wait: nothing is published to, or read from, a NATS that has not been looked after.
package reconcile
