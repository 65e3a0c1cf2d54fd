package bolt

import (
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// A layout is what one version of the file's layout adds to the one before it.
type layout struct {
	buckets []string
	change  func(tx *bolt.Tx) error // of what a file of the version before holds, after its new buckets are there; nil for nothing
}

// layouts are all versions, the first first. One that has been released is never changed: whatever is to be different comes as a new
// one at the end, with a file of the last one in testdata.
func layouts() []layout {
	return []layout{
		{buckets: []string{
			bucketMeta, bucketLog, bucketJobs, bucketJobIDs, bucketUsers, bucketUserIDs, bucketEntries, bucketOrphans, bucketPositions,
			bucketCursors, bucketMarks, bucketKeyed, bucketWindow,
		}},
	}
}

// upgrade brings a file that has the first n layouts to the last of them, all or nothing.
func upgrade(tx *bolt.Tx, all []layout, n int) error {
	for i := n; i < len(all); i++ {
		for _, name := range all[i].buckets {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return fmt.Errorf("make the bucket %s: %w", name, err)
			}
		}
		if all[i].change == nil || n == 0 {
			continue
		}
		if err := all[i].change(tx); err != nil {
			return fmt.Errorf("bring it from layout %d to layout %d: %w", i, i+1, err)
		}
	}
	return bucket(tx, bucketMeta).Put([]byte(metaFormat), key(uint64(len(all))))
}

// complete reports an error unless a file has every bucket of the first n layouts.
func complete(tx *bolt.Tx, all []layout, n int) error {
	for _, l := range all[:n] {
		i := slices.IndexFunc(l.buckets, func(name string) bool { return bucket(tx, name) == nil })
		if i >= 0 {
			return fmt.Errorf("%w: there is no bucket %s", ErrBroken, l.buckets[i])
		}
	}
	return nil
}
