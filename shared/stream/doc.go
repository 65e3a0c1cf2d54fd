// Package stream says where everything lives in JetStream: the names of streams, subjects, durables and buckets, their
// settings, and [Ensure], which makes them.
//
// One table, in table.go, holds which event is published on which subject, which services it asks for and in which stream
// it waits; everything else is derived from it. Only the api calls Ensure; workers make nothing and read what they
// need from the consumer that they are given.
package stream
