package bolt

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// unpacked is a file of testdata, which was written by an older version.
func unpacked(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "api.db")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, z); err != nil { //nolint:gosec // it is ours
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// A file of every layout that there has been opens, with what was in it.
func TestFilesOfAllLayoutsOpen(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "layout-*.db.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no files of older layouts (%v)", err)
	}
	for _, f := range files {
		s, err := Open(unpacked(t, filepath.Base(f)))
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if j, err := s.Job("j001"); err != nil || j.Key == 0 || len(j.Tasks) == 0 {
			t.Errorf("%s: a job is %+v (%v)", f, j, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// An older file gets what newer layouts have added, once; one step that fails leaves it as it was.
func TestAnOlderFileIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "api.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	changes := 0
	broken := true
	next := append(layouts(),
		layout{buckets: []string{"first"}},
		layout{buckets: []string{"second"}, change: func(tx *bolt.Tx) error {
			changes++
			if broken {
				return errors.New("something is wrong")
			}
			return errors.Join(bucket(tx, "first").Put([]byte("k"), []byte("v")), bucket(tx, "second").Put([]byte("k"), []byte("v")))
		}})
	if _, err := openAs(path, next); err == nil {
		t.Fatal("it opens although a step has failed")
	}
	if s, err = Open(path); err != nil { // it is as it was
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	broken = false
	for range 2 {
		s, err := openAs(path, next)
		if err != nil {
			t.Fatal(err)
		}
		err = s.db.View(func(tx *bolt.Tx) error {
			for _, name := range []string{"first", "second"} {
				if string(bucket(tx, name).Get([]byte("k"))) != "v" {
					t.Errorf("the bucket %s is empty", name)
				}
			}
			return nil
		})
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if changes != 2 {
		t.Errorf("the change was made %d times, once too often or seldom", changes)
	}
	if _, err := Open(path); !errors.Is(err, ErrNewer) {
		t.Errorf("the older version opens it: %v", err)
	}
}

// A new file has all layouts and nothing to change.
func TestANewFileIsNotChanged(t *testing.T) {
	t.Parallel()
	next := append(layouts(), layout{buckets: []string{"more"}, change: func(*bolt.Tx) error { return errors.New("there is nothing to change") }})
	s, err := openAs(filepath.Join(t.TempDir(), "api.db"), next)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
