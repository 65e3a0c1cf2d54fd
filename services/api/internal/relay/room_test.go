package relay

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Accepts never take a stream over nine tenths of its limit, however its answers, purges and looks fall, and all of them get in once it
// is empty often enough.
func TestAcceptsLeaveATenthOfTheStreamToEntries(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1000, 100_000).Draw(t, "limit")
		now := time.Unix(1000, 0)
		var r room
		var there, underWay int64 // in the stream; sent and not yet in it
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				if r.due(now) {
					r.heard(now, limit, uint64(there), underWay)
				}
			case 1:
				if size := rapid.Int64Range(limit/20, limit/4).Draw(t, "size"); r.take(now, size) {
					underWay += size
				} else if r.short.IsZero() || !r.none() {
					t.Fatal("it waits, and nobody knows")
				}
			case 2:
				arrived := rapid.Int64Range(0, underWay).Draw(t, "arrived")
				there, underWay = there+arrived, underWay-arrived
			case 3:
				there -= rapid.Int64Range(0, there).Draw(t, "purged")
			}
			if there > limit/10*9 {
				t.Fatalf("%d of %d bytes", there, limit)
			}
		}
		now = now.Add(lookAnyway)
		if !r.due(now) {
			t.Fatal("it does not look again")
		}
		if r.heard(now, limit, 0, 0); !r.take(now, limit/2) || r.none() {
			t.Error("there is room, and nothing gets in")
		}
	})
}

func TestAStreamWithoutALimitHasRoom(t *testing.T) {
	t.Parallel()
	var r room
	now := time.Now()
	if r.heard(now, -1, 1<<40, 1<<40); !r.take(now, 1<<30) {
		t.Error("no room")
	}
}
