package worker

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheServersTimeIsKnownToTheLengthOfAQuestion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		span := func(name string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, name))
		}
		server := time.Now().Round(0)
		skew := span("ahead", 24*time.Hour) - span("behind", 24*time.Hour)
		there, back := span("there", time.Second), span("back", time.Second)
		local := server.Add(skew)
		c := clock{local: func() time.Time { return local }}
		c.observe(local.Add(-there), local.Add(back), server)
		if off := c.now().Sub(server).Abs(); off > there+back {
			t.Fatalf("off by %s after a question of %s", off, there+back)
		}
		before := c.now()
		c.observe(local, local, time.Time{}) // a server that doesn't say
		if !c.now().Equal(before) {
			t.Fatal("no time was taken for one")
		}
	})
}

func TestClocksThatAgreeAreLeftAlone(t *testing.T) {
	t.Parallel()
	now := time.Now()
	if d := ahead(now, now.Add(time.Second), now.Add(time.Millisecond)); d != 0 {
		t.Errorf("ahead by %s", d)
	}
}
