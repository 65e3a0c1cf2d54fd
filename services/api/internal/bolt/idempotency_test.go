package bolt_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
)

func keyed(n int, at time.Time) commit.Keyed {
	return commit.Keyed{Key: uint64(n + 1), Job: fmt.Sprintf("j%03d", n), Hash: commit.Sum{byte(n), 1}, Request: commit.Sum{byte(n), 2}, At: at}
}

func keysOf(t interface{ Fatal(...any) }, s *bolt.Store) []uint64 {
	var keys []uint64
	if err := s.EachKeyed(func(k commit.Keyed) { keys = append(keys, k.Key) }); err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestKeyedRequests(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "api.db")
	s := open(t, path)
	fill(t, s, 3)
	put(t, s, &commit.Changes{Keyed: []commit.Keyed{keyed(0, made()), keyed(2, made())}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if got := keysOf(t, s); !slices.Equal(got, []uint64{1, 3}) {
		t.Errorf("kept those of the jobs %v, want 1 and 3", got)
	}
	row, ok, err := s.Keyed(3)
	equal(t, "one of them", row, keyed(2, made()), err)
	if _, none, err := s.Keyed(2); none || !ok || err != nil {
		t.Errorf("found %v, and one where there is none: %v (%v)", ok, none, err)
	}

	gone, _ := newJob(0)
	put(t, s, &commit.Changes{Pruned: []*job.Job{gone}})
	if got := keysOf(t, s); !slices.Equal(got, []uint64{3}) {
		t.Errorf("after its job has left, kept those of the jobs %v, want 3", got)
	}
}

// What is kept never includes one that is not over, and never leaves one out that is, once as many have come as were kept.
func TestKeyedRequestsThatAreOverMakeRoom(t *testing.T) {
	t.Parallel()
	dir, runs := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		s, err := bolt.Open(filepath.Join(dir, fmt.Sprint(runs)))
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		at, n := made(), 0
		var all []commit.Keyed
		for _, size := range rapid.SliceOfN(rapid.IntRange(1, 60), 1, 8).Draw(rt, "sizes") {
			at = at.Add(time.Duration(rapid.IntRange(0, 30).Draw(rt, "hours")) * time.Hour)
			c := &commit.Changes{}
			for range size {
				c.Keyed = append(c.Keyed, keyed(n, at))
				n++
			}
			all = append(all, c.Keyed...)
			if err := s.Commit(c); err != nil {
				rt.Fatal(err)
			}
			kept := keysOf(rt, s)
			if !slices.IsSorted(kept) {
				rt.Fatalf("kept %v: not the newest in their order", kept)
			}
			for _, k := range all {
				if !slices.Contains(kept, k.Key) && !k.Over(at) {
					rt.Fatalf("%d, of %v, is gone at %v", k.Key, k.At, at)
				}
			}
		}
		last := &commit.Changes{}
		for range len(all) {
			last.Keyed = append(last.Keyed, keyed(n, at))
			n++
		}
		if err := s.Commit(last); err != nil {
			rt.Fatal(err)
		}
		if err := s.EachKeyed(func(k commit.Keyed) {
			if k.Over(at) {
				rt.Fatalf("%d, of %v, is still there at %v", k.Key, k.At, at)
			}
		}); err != nil {
			rt.Fatal(err)
		}
	})
}
