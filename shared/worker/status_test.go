package worker

import (
	"errors"
	"testing"
	"time"
)

func TestStatusSaysWhatIsNewsOnly(t *testing.T) {
	t.Parallel()
	away, missing := errors.New("no connection"), errors.New("no stream")
	start := time.Now()
	var s status
	if s.err() == nil {
		t.Error("ready before it has begun")
	}
	for i, step := range []struct {
		after time.Duration
		err   error
		say   bool
	}{
		{0, missing, false},
		{100 * time.Millisecond, nil, true}, // begins
		{2 * time.Second, nil, false},
		{3 * time.Second, away, false},
		{3500 * time.Millisecond, nil, false}, // a moment's wait is no news, and so is its end
		{4 * time.Second, away, false},
		{5 * time.Second, away, true},
		{6 * time.Second, away, false},
		{7 * time.Second, missing, true},
		{8 * time.Second, nil, true},
	} {
		if say := s.set("USERS", step.err, start.Add(step.after)); say != step.say {
			t.Errorf("step %d: said %t, want %t", i, say, step.say)
		}
		if err := s.err(); (err == nil) != (step.err == nil) {
			t.Errorf("step %d: Ready is %v", i, err)
		}
	}
}
