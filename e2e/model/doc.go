// Package model is the whole way of a job as a small machine, looked at in every schedule: accept, relay, stream, consumers, workers
// with their claims, buckets, projection, reconcile, sweep, trim, and up to two faults. The search goes breadth first and keeps
// every state that it has seen, so that what it finds comes with the shortest trace to it. It runs none of the shipped code: it is the
// rules alone, to be read beside docs/delivery.md, and to be changed first when a rule is to be changed.
//
// Read state.go for what there is, rules.go for the properties and for the rules that can be broken, then a file for each part:
// relay.go (with accept and users), worker.go, projection.go, reconcile.go, trim.go (with the sweep), faults.go. search.go and
// tidy.go are the machinery. The tables in model_test.go say within which bounds the protocol holds, and which property catches
// each rule that is taken away; go test -v shows the trace of each.
//
// # What must hold
//
// An accepted job comes to its end: from every state, steps that can't be put off for ever lead there. No effect happens twice in a
// generation outside the windows of docs/delivery.md. What the api shows never goes back within a generation. What has ended,
// trimmed or not, does not begin again. Nothing is reissued, and no stream grows, without bound.
//
// # What is bounded
//
// One job, asked of one service or of two (a service that is not asked is never sent the message); one or two workers of each; up
// to two faults, out of: a worker or the api is killed, NATS loses its newest writes, the stream alone loses its tail, the stream,
// a bucket or api.db is deleted, NATS is away. A store is deleted only when the api has been ready since the last one was, as is
// promised. A user cancels or redrives once, a handler fails once, trim asks for stragglers once, a service is stopped for long
// once: not all of these at a time, nor every pair of faults with both services asked. A run that is not complete fails.
//
// Time is coarse. A claim, a publish with its acknowledgement, and a step of reconcile are one step each. A holder that lives is never
// taken for dead. The sweep comes whenever nothing else would move a task. The duplicate window may have passed at any publish, and
// what a power loss may take is any newest part of the stream, and of a bucket nothing, one write, or everything.
//
// # What is not in it
//
// Users, addresses, RECORDS and idempotency keys; the lease, a second api, an older api.db; delayed jobs; several streams, limits and full
// streams; more than one job, and so what one job hides of another's loss; two publishes in flight; clocks, pauses and a holder
// that is cut off; deleted consumers without their stream; dead letters; callbacks.
package model
