//go:build unix

package chaos_test

import (
	"testing"
	"time"
)

func TestPatienceLastsWhileJobsEndButNotForEver(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1000, 0)
	at := func(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }
	p := newPatience(begin, 10*time.Second)
	for _, c := range []struct {
		now, jobs int
		fewer     bool
		end       int
	}{
		{2, 100, true, 12}, // what there is at first
		{6, 100, false, 12},
		{11, 99, true, 21},
		{20, 120, false, 21}, // more than there were
		{21, 98, true, 31},
		{45, 10, true, 50}, // in all
	} {
		if fewer := p.look(at(c.now), c.jobs); fewer != c.fewer || !p.end.Equal(at(c.end)) {
			t.Errorf("%d jobs after %d s: fewer %t, until %s; want %t, %d s", c.jobs, c.now, fewer, p.end.Sub(begin), c.fewer, c.end)
		}
	}
}
