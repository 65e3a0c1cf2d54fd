package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

func BenchmarkTasks(b *testing.B) { benchmarkTasks(b, 0) }

// It takes a minute to come to where they wait. TestManyThatFailHoldUpNoneThatIsWell is its smaller form.
func BenchmarkTasksWhile100000Wait(b *testing.B) { benchmarkTasks(b, 100_000) }

// benchmarkTasks has b.N jobs done by 64 slots, while others wait for their next attempt in an hour.
func benchmarkTasks(b *testing.B, waiting int) {
	s := natstest.Start(b)
	if err := stream.Ensure(b.Context(), s.JetStream(), stream.Config{MaxStore: 3 << 30}); err != nil {
		b.Fatal(err)
	}
	js := s.JetStream()
	var done, failed atomic.Int64
	ends := make(chan struct{}, 1)
	end := func(n *atomic.Int64, all int) {
		if n.Add(1) == int64(all) {
			ends <- struct{}{}
		}
	}
	w := worker.New(s.Connect(), worker.Config{Service: "tasker", Logger: slog.New(slog.DiscardHandler)})
	worker.Handle(w, worker.Spec{Task: "demo", Concurrency: 64}, func(_ context.Context, e event.Event[event.TaskRequestedData]) (struct{}, error) {
		if strings.HasPrefix(e.ID, "waits") {
			end(&failed, waiting)
			return struct{}{}, worker.RetryAfter(time.Hour, errors.New("the far side is away"))
		}
		end(&done, b.N)
		return struct{}{}, nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	run := func() { ended <- w.Run(ctx) }
	if waiting > 0 {
		publishAll(b, js, "waits", waiting)
		go run()
		<-ends
		publishAll(b, js, "job", b.N)
		b.ResetTimer() // it has begun with some of them
	} else {
		publishAll(b, js, "job", b.N)
		b.ResetTimer()
		go run()
	}
	<-ends
	b.StopTimer()
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

func publishAll(b *testing.B, js jetstream.JetStream, name string, n int) {
	for i := range n {
		e, err := event.New(name+strconv.Itoa(i), time.Now(), event.TaskRequestedData{}, "tasker")
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
}
