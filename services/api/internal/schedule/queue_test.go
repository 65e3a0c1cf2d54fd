package schedule_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/job"
	"handoff/services/api/internal/schedule"
	"handoff/shared/event"
)

func scheduled(key uint64, stream string, due time.Time) *job.Job {
	return &job.Job{
		ID: strconv.FormatUint(key, 10), Key: key, Stream: stream, Due: &due, Waits: true, Size: int(key),
		Tasks: []job.Task{{Service: "tasker", State: event.Queued}},
	}
}

// Everything is due at its time, neither before nor never, in the order of the times, as long as it waits and its stream is open.
func TestQueueGivesWhatIsDue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q := schedule.NewQueue()
		waits := map[uint64]*job.Job{}
		streams := []string{"USERS", "TASKS"}
		now, shut := time.Unix(0, 0), ""
		key := uint64(0)
		end := func(j *job.Job) {
			done := *j
			done.Waits = false
			q.See(&done)
			delete(waits, j.Key)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				key++
				due := now.Add(time.Duration(rapid.IntRange(-3, 9).Draw(t, "in")) * time.Second)
				waits[key] = scheduled(key, rapid.SampledFrom(streams).Draw(t, "stream"), due)
				q.See(waits[key])
				q.See(waits[key]) // as after any other change
			case 2:
				if j := waits[rapid.Uint64Range(0, key).Draw(t, "ends")]; j != nil {
					end(j)
				}
			case 3:
				shut = rapid.SampledFrom([]string{"", "USERS", "TASKS"}).Draw(t, "shut")
			case 4:
				now = now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "passes")) * time.Second)
			}
			var want []string
			held, next := false, time.Time{}
			bytes := map[string]int64{}
			for _, j := range waits {
				bytes[j.Stream] += int64(j.Size)
				if next.IsZero() || j.Due.Before(next) {
					next = *j.Due
				}
				switch {
				case j.Due.After(now):
				case j.Stream == shut:
					held = true
				default:
					want = append(want, j.ID)
				}
			}
			if at, ok := q.Next(); ok != (len(waits) > 0) || ok && !at.Equal(next) {
				t.Fatalf("the next is at %v (%t), want %v", at, ok, next)
			}
			got, gotHeld := q.Due(now, 1000, func(name string) bool { return name != shut })
			if held != gotHeld || !slices.IsSortedFunc(got, func(a, b string) int { return due(waits, a).Compare(due(waits, b)) }) {
				t.Fatalf("due are %v, held %t, want %t", got, gotHeld, held)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("due are %v, want %v", got, want)
			}
			for _, name := range streams {
				if q.Bytes(name) != bytes[name] {
					t.Fatalf("%s: %d bytes wait, want %d", name, q.Bytes(name), bytes[name])
				}
			}
			if rapid.Bool().Draw(t, "begin") {
				for _, id := range got {
					k, _ := strconv.ParseUint(id, 10, 64)
					end(waits[k])
				}
			}
		}
	})
}

func due(waits map[uint64]*job.Job, id string) time.Time {
	k, _ := strconv.ParseUint(id, 10, 64)
	return *waits[k].Due
}
