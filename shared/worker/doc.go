// Package worker runs a service's handlers on its durable consumers, so that each task of each job is done once.
//
//	w := worker.New(nc, worker.Config{Service: "mailer", Logger: log})
//	worker.Handle(w, worker.Spec{Task: "welcome-email", Attempts: 8}, sendWelcome)
//	return w.Run(ctx)
//
// A handler gets a typed event and returns a result, which is stored as JSON in the task's record, or an error. Any
// error is tried again with backoff until the attempts are used up; [Permanent] ends the task at once, [RetryAfter] says when
// to come back. A panic is an error. A handler that runs long is kept alive; past Spec.Timeout its context ends,
// and so it does when the task is cancelled. [context.Cause] says why: [ErrTimeout], [ErrCancelled], [ErrReplaced], …
// [Worker.Use] puts middleware around all handlers.
//
// Whoever does a task holds its claim: a record in the service's bucket, written by compare-and-set. The rule by which a
// delivery becomes a claim is one pure function (internal/claim). The loop around it fetches only what its task has a free slot
// for (lane.go) and decides (delivery.go) once the bucket can be trusted (gate.go); one owner per claim keeps the record and
// the deliveries alive (holder.go) and writes how it ended (end.go). The worker survives lost connections, restarts of the
// server, and streams, consumers and buckets that are deleted: it says what it waits for, reports not ready, and goes on by
// itself.
//
// Each task has a consumer and slots of its own. What is due is judged by the server's clock (clock.go).
//
// An effect can happen twice when a process dies between the effect and its record. [event.Event.Key] is the same over all
// attempts; give it to a far side that can deduplicate. Package workertest has a suite that shows whether a handler's effect stands that.
package worker
