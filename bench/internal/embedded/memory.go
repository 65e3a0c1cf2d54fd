package embedded

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// tick is the unit in which Linux counts a process's time, on every processor that Go runs on.
const tick = 10 * time.Millisecond

// Anonymous is how many bytes of the child's memory are resident and belong to no file, as Linux counts them: pages of api.db that
// happen to be mapped are not in it.
func (c *Child) Anonymous() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.PID()))
	if err != nil {
		return 0, fmt.Errorf("read the child's memory (only Linux tells): %w", err)
	}
	_, rest, found := strings.Cut(string(b), "RssAnon:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); !found || err != nil {
		return 0, errors.New("read the child's memory: no RssAnon in its status")
	}
	return kb << 10, nil
}

// CPU is how much time of processors the child has used since it began; false where that can't be known.
func (c *Child) CPU() (time.Duration, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.PID()))
	if err != nil {
		return 0, false
	}
	_, rest, found := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 13 {
		return 0, false
	}
	var user, system int64
	_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	return time.Duration(user+system) * tick, err == nil
}
