package bolt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"handoff/services/api/internal/bolt"
)

// written is the bytes of a store with some jobs in it.
func written(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "api.db")
	s := open(t, path)
	for range 3 {
		fill(t, s, 200)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// edited is the bytes of a store after f.
func edited(t *testing.T, f func(tx *bbolt.Tx) error) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "api.db")
	if err := os.WriteFile(path, written(t), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(f), db.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func layout(n uint64) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("format"), binary.BigEndian.AppendUint64(nil, n))
	}
}

func TestAFileThatIsNotOursIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	whole := written(t)
	foreign := func(tx *bbolt.Tx) error {
		for _, name := range []string{"meta", "log", "jobs"} {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	}
	damaged := bytes.Clone(whole)
	clear(damaged[2*4096 : 40*4096])
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"garbage":             {bytes.Repeat([]byte("garbage "), 4096), bolt.ErrBroken},
		"a little garbage":    {[]byte("?"), bolt.ErrBroken},
		"zeros":               {make([]byte, 64<<10), bolt.ErrBroken},
		"cut in page 0":       {whole[:3000], bolt.ErrBroken},
		"cut after page 0":    {whole[:4096], bolt.ErrBroken},
		"cut in page 1":       {whole[:5000], bolt.ErrBroken},
		"cut after the metas": {whole[:2*4096], bolt.ErrBroken},
		"cut in the middle":   {whole[:20*4096], bolt.ErrBroken},
		"damaged pages":       {damaged, bolt.ErrBroken},
		"another program's":   {edited(t, foreign), bolt.ErrBroken},
		"no layout":           {edited(t, layout(0)), bolt.ErrBroken},
		"a bucket missing":    {edited(t, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("users")) }), bolt.ErrBroken},
		"a later layout":      {edited(t, layout(1000)), bolt.ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "api.db")
			if err := os.WriteFile(path, c.file, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second shows that the first gave the lock back
				s, err := bolt.Open(path)
				if !errors.Is(err, c.want) {
					if err == nil {
						_ = s.Close()
					}
					t.Fatalf("got %v, want %v", err, c.want)
				}
			}
			left, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(left, c.file) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func TestAFileInUseIsLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "api.db")
	s := open(t, path)
	fill(t, s, 3)
	if _, err := bolt.Open(path); !errors.Is(err, bolt.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	if _, err := s.Job("j001"); err != nil {
		t.Errorf("the first is disturbed: %v", err)
	}
}

// A process that was killed while it made the file leaves an empty one, or one without buckets.
func TestAFileWhoseMakingWasCutShortIsMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, bare := filepath.Join(dir, "empty.db"), filepath.Join(dir, "bare.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(bare, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, bare} {
		s := open(t, path)
		if n, err := s.LastKey(); n == 0 || err != nil {
			t.Errorf("%s: last key %d, %v", path, n, err)
		}
	}
}

func TestADirectoryThatCannotBeWrittenSaysSo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := bolt.Open(filepath.Join(file, "api.db"))
	var path *os.PathError
	if !errors.As(err, &path) || errors.Is(err, bolt.ErrBroken) {
		t.Errorf("got %v, want the path's error", err)
	}
}
