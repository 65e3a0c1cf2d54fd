// Package workertest runs a service, or one handler, in an ordinary test: on a NATS server of its own, with the worker that runs it
// in earnest.
//
// A [Rig] is one such server and service, to ask for jobs and look at what comes of them. A [Suite] is what every handler's author
// has to think of, as tests: events that come twice, a redrive, restarts of the service and of NATS, a far side that hangs, and a
// process that dies between the effect and its record. An effect that is not idempotent fails there; one that is named after
// [event.Event.Key] passes.
//
//	workertest.Suite{
//		Service: "mailer",
//		Run:     workertest.Handler("mailer", worker.Spec{Task: "welcome-email"}, sendWelcome),
//		Payload: func(n int) event.Payload { return event.UserCreatedData{UserID: "u", Email: "ada@example.org", Username: "ada"} },
//		Effects: func(r *workertest.Rig, key string) int { return mailsWithID(key) },
//	}.Check(t)
package workertest
