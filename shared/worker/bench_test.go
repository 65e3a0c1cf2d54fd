package worker_test

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/worker"
)

func BenchmarkTasks(b *testing.B) {
	s := natstest.Run(b)
	js := s.JetStream()
	for i := range b.N {
		e, err := event.New("job"+strconv.Itoa(i), time.Now(), data{}, "tasker")
		if err != nil {
			b.Fatal(err)
		}
		body, err := e.Encode()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: "task.requested", Data: body}); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	var n atomic.Int64
	all := make(chan struct{})
	w := worker.New(s.Connect(), worker.Config{Service: "tasker", Logger: slog.New(slog.DiscardHandler)})
	worker.Handle(w, worker.Spec{Task: "demo", Concurrency: 64}, func(context.Context, event.Event[data]) (struct{}, error) {
		if n.Add(1) == int64(b.N) {
			close(all)
		}
		return struct{}{}, nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	b.ResetTimer()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	<-all
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
