package bolt

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// format is the version of the file's layout.
const format = 1

// initialMmap is address space, not memory: growing the map has to wait for readers.
const initialMmap = 4 << 30

// The buckets.
var (
	bucketMeta      = []byte("meta")      // single values
	bucketLog       = []byte("log")       // a bucket for each stream: log key → accept
	bucketJobs      = []byte("jobs")      // log key → job
	bucketJobIDs    = []byte("job-ids")   // job's id → log key
	bucketUsers     = []byte("users")     // log key → user
	bucketUserIDs   = []byte("user-ids")  // user's id → log key
	bucketEntries   = []byte("entries")   // log key → entry
	bucketOrphans   = []byte("orphans")   // job's id / service → record
	bucketPositions = []byte("positions") // stream → log key
	bucketCursors   = []byte("cursors")   // stream → server time
)

// Keys in bucketMeta.
var (
	metaFormat  = []byte("format")
	metaLastKey = []byte("last-key")
	metaMet     = []byte("met")
)

// Errors of [Open], for each of which the file is as it was.
var (
	ErrLocked = errors.New("another process has it open")
	ErrNewer  = errors.New("it was written by a newer version of Handoff")
	ErrBroken = errors.New("it is not a whole api.db")
)

// Store is an open api.db.
type Store struct {
	db *bolt.DB
}

// Open opens the file at path, and makes it if there is none.
func Open(path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout: time.Second, NoFreelistSync: true, FreelistType: bolt.FreelistMapType, InitialMmapSize: initialMmap,
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("open %s: %w", path, ErrLocked)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("open %s: %w: %w", path, ErrBroken, err)
	case err != nil:
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			return nil, fmt.Errorf("open the store: %w", err)
		}
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	s := &Store{db: db}
	if err := s.prepare(); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

// prepare checks the layout of an old file and lays out a new one. A new file's log keys begin at the time of its making in µs, so
// that they lie above those of a file that was lost.
func (s *Store) prepare() error {
	var have []byte
	err := s.db.View(func(tx *bolt.Tx) error {
		if meta := tx.Bucket(bucketMeta); meta != nil {
			have = append(have, meta.Get(metaFormat)...)
		} else if k, _ := tx.Cursor().First(); k != nil {
			return ErrBroken
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(have) > 0 {
		if n := number(have); n > format {
			return fmt.Errorf("%w (layout %d, this one knows %d)", ErrNewer, n, format)
		}
		return nil
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{
			bucketMeta, bucketLog, bucketJobs, bucketJobIDs, bucketUsers, bucketUserIDs, bucketEntries, bucketOrphans, bucketPositions, bucketCursors,
		} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		return errors.Join(meta.Put(metaFormat, key(format)), meta.Put(metaLastKey, key(uint64(time.Now().UnixMicro()))))
	})
}

// Close closes the file.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	return nil
}

// key is n as a key that sorts by number.
func key(n uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), n) }

func number(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func decode(b []byte, what string, into any) error {
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read %s from the store: %w", what, err)
	}
	return nil
}

func orphanKey(job, service string) []byte { return []byte(job + "/" + service) }

func splitOrphanKey(k []byte) (job, service string) {
	job, service, _ = strings.Cut(string(k), "/")
	return job, service
}
