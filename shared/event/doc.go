// Package event is the wire contract of Handoff: what its separately deployed binaries read and write over NATS.
//
// An [Envelope] is a CloudEvents 1.0 event in structured JSON mode; the payloads it carries are [UserCreatedData],
// [ImageRequestedData], [TaskRequestedData] and [JobFinishedData]. A [Record] is what a service says about its task of a
// job, a [UserFact] what the api knows of a user. The golden files under testdata are the contract in bytes: fields may be
// added as optional ones, never renamed and never removed, because an old binary reads what a new one wrote and the other
// way round.
//
// The package imports the standard library only, and knows neither subjects nor streams (see package stream).
package event
