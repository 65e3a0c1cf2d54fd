package bolt

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
)

// The buckets.
const (
	bucketMeta      = "meta"      // single values
	bucketLog       = "log"       // a bucket for each stream: log key → accept
	bucketJobs      = "jobs"      // log key → job
	bucketJobIDs    = "job-ids"   // job's id → log key
	bucketUsers     = "users"     // log key → user
	bucketUserIDs   = "user-ids"  // user's id → log key
	bucketEntries   = "entries"   // log key → entry
	bucketOrphans   = "orphans"   // job's id / service → record
	bucketPositions = "positions" // stream → log key
	bucketCursors   = "cursors"   // stream → server time
	bucketMarks     = "marks"     // stream → how far it is known to have come
	bucketKeyed     = "keyed"     // log key → request that came with an Idempotency-Key
	bucketWindow    = "window"    // log keys of jobs that have not ended, or have a message in a stream
)

// bucket gives one of the buckets, which are all there: [Open] has looked.
func bucket(tx *bolt.Tx, name string) *bolt.Bucket { return tx.Bucket([]byte(name)) }

// Keys in bucketMeta.
const (
	metaFormat  = "format"
	metaLastKey = "last-key"
	metaMet     = "met"
)

// Store is an open api.db.
type Store struct {
	db     *bolt.DB
	failed atomic.Pointer[error] // see Err
}

// Close closes the file. It writes which pages are free, which no transaction does, so that the next [Open] need not find out: after a
// kill it does. Where there is no room for that the file is whole without.
func (s *Store) Close() error {
	s.db.NoFreelistSync = false
	_ = s.db.Update(func(*bolt.Tx) error { return nil })
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
