package accept_test

import (
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

func TestAKeyLeavesWithItsJobOrAfterADay(t *testing.T) {
	t.Parallel()
	r := opened(t)
	request := func(name string) string {
		t.Helper()
		j, err := r.Request(t.Context(), key(name, "task"), event.TaskRequestedData{})
		if err != nil {
			t.Fatal(err)
		}
		return j.ID
	}
	a, b := request("a"), request("b")
	r.prune(t, a)
	if prints, more, _ := r.keys.Len(); prints != 1 || more != 0 {
		t.Errorf("%d fingerprints and %d more, want one", prints, more)
	}
	if again := request("a"); again == a || request("b") != b || request("a") != again {
		t.Error("a key did not leave with its job, and only then")
	}
	r.clock.ahead.Store(int64(commit.KeyLife - time.Minute))
	if request("b") != b {
		t.Error("a key is gone before its day is over")
	}
	r.clock.ahead.Store(int64(commit.KeyLife + time.Minute))
	if request("b") == b {
		t.Error("a key is still known after its day")
	}
	if prints, more, queue := r.keys.Len(); prints != 1 || more != 0 || queue != 1 {
		t.Errorf("%d fingerprints, %d more and %d places, want one of the newest request", prints, more, queue)
	}
	n := 0
	if err := r.store.EachKeyed(func(commit.Keyed) { n++ }); err != nil || n != 1 {
		t.Errorf("the store keeps %d (%v), want one", n, err)
	}
}

// What is kept in memory stays within what is known, and the queue within twice that.
func TestKeysStaySmall(t *testing.T) {
	t.Parallel()
	keys := accept.NewKeys()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var jobs []*job.Job
	for n := range 10_000 {
		j := &job.Job{Key: uint64(n + 1)}
		jobs = append(jobs, j)
		keys.Committed(&commit.Changes{Keyed: []commit.Keyed{{Key: j.Key, Hash: commit.Sum{byte(n), byte(n >> 8)}, At: at}}})
		if n >= 100 { // the first job stays; of the others, the last hundred
			keys.Committed(&commit.Changes{Pruned: []*job.Job{jobs[n-99]}})
		}
		if prints, more, queue := keys.Len(); prints+more > 101 || queue > 300 {
			t.Fatalf("after %d: %d fingerprints, %d more and %d places", n, prints, more, queue)
		}
	}
	keys.Committed(&commit.Changes{Keyed: []commit.Keyed{{Key: 20_000, At: at.Add(commit.KeyLife)}}})
	if prints, more, queue := keys.Len(); prints+more != 1 || queue != 1 {
		t.Errorf("a day later: %d fingerprints, %d more and %d places, want one", prints, more, queue)
	}
}
