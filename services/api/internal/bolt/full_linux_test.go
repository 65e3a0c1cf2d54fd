package bolt_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
)

func TestAFullDiskHarmsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("NOT TESTED: a full disk needs a file system to fill, and mounting one failed: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	path := filepath.Join(dir, "api.db")
	s := open(t, path)
	add := func(n int) error {
		j, a := newJob(n)
		a.Data = make([]byte, 8<<10)
		return s.Commit(&commit.Changes{Accepts: []commit.Accept{a}, Jobs: map[string]*job.Job{j.ID: j}, LastKey: j.Key})
	}
	kept := 0
	var err error
	for ; kept < 1000 && err == nil; kept++ {
		err = add(kept)
	}
	kept-- // the last was refused
	if !errors.Is(err, commit.ErrNoSpace) {
		t.Fatalf("after %d: %v, want ErrNoSpace", kept, err)
	}
	check := func(when string) {
		t.Helper()
		for n := range kept {
			if _, err := s.Job(fmt.Sprintf("j%03d", n)); err != nil {
				t.Fatalf("%s, job %d of %d: %v", when, n, kept, err)
			}
		}
		if _, err := s.Job(fmt.Sprintf("j%03d", kept)); !errors.Is(err, job.ErrNotFound) {
			t.Fatalf("%s, the job that was refused: %v", when, err)
		}
	}
	check("full")
	for range 3 {
		if err := add(kept); !errors.Is(err, commit.ErrNoSpace) {
			t.Fatalf("still full: %v", err)
		}
	}
	check("full for a while")
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	if err := add(kept); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	kept++
	check("with room again")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	check("opened again")
}
