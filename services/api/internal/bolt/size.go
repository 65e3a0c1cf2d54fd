package bolt

import (
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Size is how much a store holds.
type Size struct {
	Bytes int64 // of the file
	Users int64
	Jobs  int64
}

// Size gives how much the store holds. It costs no scan: each bucket counts its rows in its sequence.
func (s *Store) Size() (Size, error) {
	var size Size
	err := s.db.View(func(tx *bolt.Tx) error {
		size.Bytes = tx.Size()
		size.Users = int64(bucket(tx, bucketUsers).Sequence())
		size.Jobs = int64(bucket(tx, bucketJobs).Sequence())
		return nil
	})
	if err != nil {
		return Size{}, fmt.Errorf("read the store's size: %w", err)
	}
	return size, nil
}
