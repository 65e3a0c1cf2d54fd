package cancel_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/cancel"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// One write settles it: then the record says that the task is cancelled, or is of a later generation, which stays as it is.
func TestDecideSettlesWithOneWrite(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(100, 0)
		known := job.Cancel(job.Task{
			Service: "mailer", State: rapid.SampledFrom([]job.State{event.Queued, event.Running, event.Retrying}).Draw(t, "known"),
			Generation: rapid.IntRange(0, 2).Draw(t, "generation"), Attempt: rapid.IntRange(0, 3).Draw(t, "attempt"),
		}, now)
		var read *event.Record
		if rapid.Bool().Draw(t, "there is one") {
			read = &event.Record{
				State:      rapid.SampledFrom([]job.State{event.Running, event.Retrying, event.Succeeded, event.Dead, event.Cancelled}).Draw(t, "read"),
				Generation: rapid.IntRange(0, 3).Draw(t, "its generation"), Claim: rapid.IntRange(1, 4).Draw(t, "claim"),
				Attempt: rapid.IntRange(1, 4).Draw(t, "its attempt"), Holder: "h",
			}
		}
		next, write := cancel.Decide(known, read)
		if later := read != nil && read.Generation > known.Generation; later {
			if write {
				t.Fatal("a later generation is overwritten")
			}
			return
		}
		if write {
			was := read
			read = job.Record(&next, now)
			if was != nil && read.Generation < was.Generation {
				t.Fatalf("the generation falls: %+v over %+v", read, was)
			}
		}
		if read.State != event.Cancelled || read.Generation != known.Generation || write && read.Holder != "" {
			t.Fatalf("the record says %+v", read)
		}
		if _, write := cancel.Decide(next, read); write {
			t.Fatal("it is written twice")
		}
		if next.State != event.Cancelled || next.Attempt != read.Attempt {
			t.Fatalf("the record says %+v, and known is %+v", read, next)
		}
	})
}
