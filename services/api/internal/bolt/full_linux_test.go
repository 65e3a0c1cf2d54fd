package bolt_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
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
	fillUp(t, filepath.Join(dir, "api.db"), func() error { return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m") })
}

// A limit is one of a process, so that this runs in one of its own.
func TestAFileThatMayNotGrowHarmsNothing(t *testing.T) {
	const limited = "FILES_ARE_LIMITED"
	if os.Getenv(limited) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), limited+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "api.db")
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	// Room for the first growth of the file, and none for the second.
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 20 << 20, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	fillUp(t, path, func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit) })
}

// fillUp adds jobs to a new store until it takes no more, and looks whether it has all that it took: then, and when there is room again.
func fillUp(t *testing.T, path string, more func() error) {
	t.Helper()
	s := open(t, path)
	add := func(n int) error {
		j, a := newJob(n)
		a.Data = make([]byte, 64<<10)
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
	for refused := 0; refused < 3; { // pages that the last one left behind may still be used
		switch err := add(kept); {
		case err == nil:
			kept++
		case errors.Is(err, commit.ErrNoSpace):
			refused++
		default:
			t.Fatalf("still full: %v", err)
		}
	}
	if !errors.Is(s.Err(), commit.ErrNoSpace) {
		t.Errorf("it says %v of itself, want ErrNoSpace", s.Err())
	}
	check("full for a while")
	if err := more(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(add(kept), s.Err()); err != nil {
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
