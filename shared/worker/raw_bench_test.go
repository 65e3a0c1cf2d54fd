package worker_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// slots is how many are done at once.
const slots = 64

// BenchmarkRawOperations is what such a task is made of and nothing else: a delivery, two writes of a record under compare-and-set, the
// second after the first is confirmed, and an ack. 64 at once over one connection.
func BenchmarkRawOperations(b *testing.B) {
	s := natstest.Start(b)
	if err := stream.Ensure(b.Context(), s.JetStream(), stream.Config{MaxStore: 3 << 30}); err != nil {
		b.Fatal(err)
	}
	js, err := jetstream.New(s.Connect(), jetstream.WithPublishAsyncMaxPending(1<<14))
	if err != nil {
		b.Fatal(err)
	}
	publishAll(b, s.JetStream(), "job", b.N)
	c, err := js.Consumer(b.Context(), stream.Tasks, "tasker")
	if err != nil {
		b.Fatal(err)
	}
	running := []byte(`{"state":"running","claim":1,"attempt":1,"holder":"0123456789abcdef01234567","started":"2026-01-02T03:04:05.123456Z"}`)
	ended := []byte(`{"state":"succeeded","claim":1,"attempt":1,"holder":"0123456789abcdef01234567","started":"2026-01-02T03:04:05.123456Z","ended":"2026-01-02T03:04:05.123456Z"}`)
	write := func(subject string, data []byte, expect uint64) (uint64, error) {
		f, err := js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: data}, jetstream.WithExpectLastSequencePerSubject(expect))
		if err != nil {
			return 0, err
		}
		select {
		case ack := <-f.Ok():
			return ack.Sequence, nil
		case err := <-f.Err():
			return 0, err
		}
	}
	b.ResetTimer()
	free := make(chan struct{}, slots)
	for range slots {
		free <- struct{}{}
	}
	var wg sync.WaitGroup
	for left := b.N; left > 0; {
		<-free
		n := 1
		for n < slots && len(free) > 0 {
			<-free
			n++
		}
		batch, err := c.Fetch(min(n, left), jetstream.FetchMaxWait(10*time.Second))
		if err != nil {
			b.Fatal(err)
		}
		got := 0
		for m := range batch.Messages() {
			got++
			wg.Go(func() {
				defer func() { free <- struct{}{} }()
				md, err := m.Metadata()
				if err != nil {
					b.Error(err)
					return
				}
				subject := stream.RecordSubject("tasker", "job"+strconv.FormatUint(md.Sequence.Stream, 10))
				rev, err := write(subject, running, 0)
				if err == nil {
					_, err = write(subject, ended, rev)
				}
				if err == nil {
					err = m.Ack()
				}
				if err != nil {
					b.Error(err)
				}
			})
		}
		for range n - got {
			free <- struct{}{}
		}
		left -= got
	}
	wg.Wait()
}
