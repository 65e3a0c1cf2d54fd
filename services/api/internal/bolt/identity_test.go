package bolt_test

import (
	"os"
	"path/filepath"
	"testing"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
)

func identity(t *testing.T, s *bolt.Store) commit.Identity {
	t.Helper()
	id, err := s.Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// reopened is who a file is once it has been closed and opened again.
func reopened(t *testing.T, s *bolt.Store, path string) (*bolt.Store, commit.Identity) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	return s, identity(t, s)
}

func TestAFileKeepsItsNameAndCountsItsStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "api.db")
	s := open(t, path)
	first := identity(t, s)
	if first.File == "" || first.Store != "" || first.Start != 1 {
		t.Fatalf("a new file is %+v", first)
	}
	if other := identity(t, open(t, filepath.Join(dir, "other.db"))); other.File == first.File {
		t.Error("two files have one name")
	}
	if err := s.Commit(&commit.Changes{StoreID: "store"}); err != nil {
		t.Fatal(err)
	}
	want := commit.Identity{Store: "store", File: first.File, Start: 2}
	s, got := reopened(t, s, path)
	if got != want {
		t.Errorf("opened again it is %+v, want %+v", got, want)
	}
	if err := s.Commit(&commit.Changes{Start: 40}); err != nil {
		t.Fatal(err)
	}
	want.Start = 41
	if _, got = reopened(t, s, path); got != want {
		t.Errorf("raised and opened again it is %+v, want %+v", got, want)
	}
}

func TestACopyIsBehindItsOriginal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "api.db")
	s := open(t, path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = reopened(t, open(t, path), path)
	back := filepath.Join(dir, "back.db")
	if err := os.WriteFile(back, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if id := identity(t, open(t, back)); id.Start != 2 {
		t.Errorf("the copy was started %d times, want 2: once before it was made", id.Start)
	}
}
