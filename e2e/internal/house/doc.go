// Package house builds Handoff's programs and runs them as processes for tests, in both of the forms that there are: everything in one
// process ([House.Together]), and a NATS server with five services ([House.Apart]). What it started is gone when the test has ended,
// and the end of each program's log is shown when the test has failed.
//
// Start at [Site]. A [Program] is one process and can be killed and started again; a [Client] is somebody who uses the API.
package house
