package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/reconcile"
	"handoff/shared/event"
	"handoff/shared/stream"
)

func anyState(t *rapid.T) event.State {
	return rapid.SampledFrom([]event.State{
		event.Queued, event.Running, event.Retrying, event.Succeeded, event.Dead, event.Cancelled,
	}).Draw(t, "state")
}

// world of streams, each of which was perhaps made anew, cut off, or never met.
func anyFound(t *rapid.T) []reconcile.Found {
	names := stream.WorkStreams()
	for _, s := range stream.Services() {
		names = append(names, stream.BucketStream(stream.Bucket(s)))
	}
	found := make([]reconcile.Found, len(names))
	for i, name := range names {
		made := time.Unix(1000, 0)
		f := reconcile.Found{
			Stream: name, Created: made, Last: rapid.Uint64Range(0, 5).Draw(t, "last"), Open: rapid.Bool().Draw(t, "open"),
			Proven: rapid.IntRange(0, 4).Draw(t, "proven") == 0, Left: rapid.Uint64Range(0, 5).Draw(t, "left"),
		}
		switch rapid.IntRange(0, 3).Draw(t, "met") {
		case 0:
		case 1:
			f.Mark = commit.Mark{Created: made.Add(-time.Hour), Highest: rapid.Uint64Range(0, 5).Draw(t, "highest")}
		default:
			f.Mark = commit.Mark{Created: made, Highest: rapid.Uint64Range(0, 5).Draw(t, "highest")}
		}
		found[i] = f
	}
	return found
}

func TestPlanPutsBackExactlyWhatIsLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		found := anyFound(t)
		loss := reconcile.Plan(found)
		whole := map[string]bool{}
		for _, f := range found {
			whole[f.Stream] = f.Created.Equal(f.Mark.Created) && f.Last >= f.Mark.Highest && !f.Proven
		}
		for _, f := range found {
			if !slices.Contains(stream.WorkStreams(), f.Stream) {
				continue
			}
			left, lost := loss.Streams[f.Stream]
			if lost == whole[f.Stream] {
				t.Fatalf("%+v: lost %t", f, lost)
			}
			if lost && left.Last > f.Last {
				t.Fatalf("%+v: %d are left, more than there are", f, left.Last)
			}
			waits := lost
			for _, d := range stream.Durables() {
				waits = waits || d.Stream == f.Stream && slices.Contains(loss.Buckets, d.Service)
			}
			if slices.Contains(loss.Domains, f.Stream) != waits {
				t.Fatalf("%s waits: %t, want %t; %+v", f.Stream, !waits, waits, loss)
			}
		}
		for _, service := range stream.Services() {
			i := slices.IndexFunc(found, func(f reconcile.Found) bool { return f.Stream == stream.BucketStream(stream.Bucket(service)) })
			f := found[i]
			want := !f.Open || !f.Mark.Created.IsZero() && !whole[f.Stream]
			if slices.Contains(loss.Buckets, service) != want {
				t.Fatalf("%+v is put back: %t, want %t", f, !want, want)
			}
		}
	})
}

func TestNoTaskKeepsAMessageThatIsLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		found := anyFound(t)
		loss := reconcile.Plan(found)
		f := rapid.SampledFrom(found[:len(stream.WorkStreams())]).Draw(t, "of")
		task := &job.Task{State: anyState(t), Message: rapid.Uint64Range(0, 6).Draw(t, "message"), Entry: rapid.Uint64Range(0, 2).Draw(t, "entry")}
		j := &job.Job{Key: rapid.Uint64Range(0, 6).Draw(t, "key"), Stream: f.Stream}
		position := rapid.Uint64Range(0, 6).Draw(t, "position")
		got := loss.Message(f.Stream, task)
		left, lost := loss.Streams[f.Stream]
		switch {
		case got > task.Message:
			t.Fatalf("message %d became %d", task.Message, got)
		case !lost && got != task.Message:
			t.Fatalf("nothing is lost, and message %d became %d", task.Message, got)
		case lost && got > left.Last:
			t.Fatalf("message %d is kept, and %+v are left", got, left)
		case lost && left.Made && !task.State.Ended() && got != 0:
			t.Fatalf("message %d of a stream that is gone is kept", got)
		case lost && !left.Made && task.Message <= left.Last && got != task.Message:
			t.Fatalf("message %d was not lost and became %d", task.Message, got)
		}
		task.Message = got
		again := reconcile.Again(j, task, position)
		switch {
		case again && (task.State.Ended() || got != 0 || j.Key > position && task.Entry <= j.Key):
			t.Fatalf("%+v of job %d is asked for again at position %d", task, j.Key, position)
		case !again && !task.State.Ended() && got == 0 && j.Key <= position && !task.Unasked():
			t.Fatalf("%+v of job %d is asked for by nobody at position %d", task, j.Key, position)
		}
	})
}
