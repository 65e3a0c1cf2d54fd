package house

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what should come. It is generous: it only passes when something is broken.
const Patience = 60 * time.Second

// Eventually waits until try gives nil; what says what is waited for. The test fails, with what try said last, when
// [Patience] has passed.
func Eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-limit.C:
			t.Fatalf("%s: still not after %s: %v", what, Patience, err)
		}
	}
}
