package records

import "time"

// trail remembers where the position stood.
type trail struct {
	keep  time.Duration // how long ago is asked for
	steps []step
}

type step struct {
	at  time.Time
	key uint64
}

// add notes the position, and forgets what nobody will ask for. Steps lie at least a sixteenth of what is kept apart: of many at
// once, the latest takes the place of the ones before, as if all of it had come then.
func (t *trail) add(at time.Time, key uint64) {
	if n := len(t.steps); n > 1 && at.Sub(t.steps[n-2].at) < t.keep/16 {
		t.steps[n-1] = step{at, key}
	} else {
		t.steps = append(t.steps, step{at, key})
	}
	old := 0
	for old+1 < len(t.steps) && at.Sub(t.steps[old+1].at) >= t.keep {
		old++
	}
	t.steps = append(t.steps[:0:0], t.steps[old:]...)
}

// ago is where the position stood t.keep before now; 0 when that is not known.
func (t *trail) ago(now time.Time) uint64 {
	for i := len(t.steps) - 1; i >= 0; i-- {
		if now.Sub(t.steps[i].at) >= t.keep {
			return t.steps[i].key
		}
	}
	return 0
}

func (t *trail) clear() { t.steps = nil }
