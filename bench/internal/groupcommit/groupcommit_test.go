package groupcommit

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func TestEveryAcceptThatWasCountedIsInTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "raw.db")
	got, err := Run(t.Context(), path, 8, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if got.Accepts == 0 || got.Commits == 0 || got.Commits > got.Accepts || got.Rate() <= 0 || got.Batch() < 1 || got.Batch() > 8 {
		t.Errorf("Run gives %+v with rate %f and batch %f", got, got.Rate(), got.Batch())
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	err = db.View(func(tx *bolt.Tx) error {
		for _, want := range tables() {
			var rows int64
			err := tx.Bucket([]byte(want.name)).ForEach(func(k, v []byte) error {
				rows++
				if len(k) != want.key || len(v) != want.size {
					t.Fatalf("%s has a row of %d bytes under a key of %d", want.name, len(v), len(k))
				}
				return nil
			})
			if err != nil {
				return err
			}
			if rows != got.Accepts {
				t.Errorf("%s has %d rows, want %d", want.name, rows, got.Accepts)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := Run(ctx, filepath.Join(t.TempDir(), "raw.db"), 2, time.Hour); err != nil || got.Accepts != 0 {
		t.Errorf("Run gives %+v, %v", got, err)
	}
}

func TestRunSaysWhichFileItCannotOpen(t *testing.T) {
	t.Parallel()
	if _, err := Run(t.Context(), filepath.Join(t.TempDir(), "missing", "raw.db"), 1, time.Millisecond); err == nil {
		t.Error("no error for a file that can't be made")
	}
}
