package tasker

import (
	"context"
	"time"

	"handoff/shared/daemon"
	"handoff/shared/worker"
)

// Config is what the tasker can be told, beside what every service can: nothing.
type Config struct{}

// Run does tasks until ctx ends.
func Run(ctx context.Context, p *daemon.Process, _ Config) error {
	task := &Task{log: p.Log, progress: worker.Progress}

	w := worker.New(p.NATS, worker.Config{Service: "tasker", Logger: p.Log, Grace: p.Grace, Metrics: p.Metrics})
	// An event may ask for an hour at most; waiting costs nothing, so many may do it at once.
	worker.Handle(w, worker.Spec{Task: "demo-task", Concurrency: 32, Timeout: time.Hour + time.Minute}, task.Handle)
	p.ReadyWhen(w.Ready)
	return w.Run(ctx)
}
