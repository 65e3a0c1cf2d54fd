package tasker_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/tasker"
	"handoff/shared/daemon"
	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

func TestTaskerDoesWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	p := &daemon.Process{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), NATS: server.Connect(), Grace: time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tasker.Run(ctx, p, tasker.Config{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})

	js := server.JetStream()
	changes := watch(t, js)
	e, err := event.New("job-1", time.Now(), event.TaskRequestedData{DurationMS: 700}, "tasker")
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), stream.Subject(e.Type, e.Services()), b); err != nil {
		t.Fatal(err)
	}
	records, percents := follow(t, changes)
	last := records[len(records)-1]
	if last.State != event.Succeeded || string(last.Result) != `{"slept_ms":700}` {
		t.Errorf("the task is %s with %s (%s)", last.State, last.Result, last.Error)
	}
	if len(percents) == 0 {
		t.Error("no record on the way shows progress")
	}
}

// watch looks at the record of job-1. It begins before the job does: of what is over, the bucket keeps only the last.
func watch(t *testing.T, js jetstream.JetStream) jetstream.KeyWatcher {
	t.Helper()
	bucket, err := js.KeyValue(t.Context(), stream.Bucket("tasker"))
	if err != nil {
		t.Fatal(err)
	}
	changes, err := bucket.Watch(t.Context(), "job-1")
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// follow gives the records of job-1 until the task has ended, and the progress that those of the running task show.
func follow(t *testing.T, changes jetstream.KeyWatcher) (records []*event.Record, percents []float64) {
	t.Helper()
	tooLong := time.After(30 * time.Second)
	for {
		select {
		case entry := <-changes.Updates():
			if entry == nil { // all that was there has been seen
				continue
			}
			r, err := event.DecodeRecord(entry.Value())
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, r)
			if r.State == event.Running && r.Progress != nil {
				percents = append(percents, r.Progress.Percent)
			}
			if r.State.Ended() {
				return records, percents
			}
		case <-tooLong:
			t.Fatalf("job-1 does not end: %+v", records)
		}
	}
}
