package bolt_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
)

// What Close says of free pages holds for the next start alone: one that is killed leaves a file that says nothing, and neither loses a
// row.
func TestStartsAfterAStopAndAfterAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "api.db")
	want := 0
	for round := range 4 {
		s, err := bolt.Open(path)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for range 30 {
			j, a := newJob(want)
			put(t, s, &commit.Changes{Accepts: []commit.Accept{a}, Jobs: map[string]*job.Job{j.ID: j}, LastKey: j.Key})
			want++
		}
		if round%2 == 0 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		} else { // as a kill leaves it
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			path = filepath.Join(dir, fmt.Sprint("killed-", round))
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := open(t, path)
	for n := range want {
		if _, err := s.Job(fmt.Sprintf("j%03d", n)); err != nil {
			t.Errorf("job %d of %d: %v", n, want, err)
		}
	}
}
