package bolt

import (
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"handoff/services/api/internal/commit"
)

// A keyed request is stored as: its time in ns, the sum of its Idempotency-Key, the sum of the request, its job's id.
const keyedHead = 8 + 2*len(commit.Sum{})

// putKeyed adds requests, which come in the order of their log keys, and takes away a few more of those that are over than it adds: so
// they never pile up, and no transaction pays for many.
func putKeyed(tx *bolt.Tx, keyed []commit.Keyed) error {
	if len(keyed) == 0 {
		return nil
	}
	rows := bucket(tx, bucketKeyed)
	rows.FillPercent = 0.95
	for i := range keyed {
		if err := rows.Put(key(keyed[i].Key), encodeKeyed(&keyed[i])); err != nil {
			return err
		}
	}
	now := keyed[len(keyed)-1].At
	c := rows.Cursor()
	for range 2*len(keyed) + 16 {
		k, v := c.First()
		if k == nil {
			return nil
		}
		oldest, err := decodeKeyed(k, v)
		if err != nil {
			return err
		}
		if !oldest.Over(now) {
			return nil
		}
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

func encodeKeyed(k *commit.Keyed) []byte {
	b := make([]byte, 0, keyedHead+len(k.Job))
	b = append(b, key(uint64(k.At.UnixNano()))...)
	b = append(append(b, k.Hash[:]...), k.Request[:]...)
	return append(b, k.Job...)
}

func decodeKeyed(k, v []byte) (commit.Keyed, error) {
	if len(v) < keyedHead {
		return commit.Keyed{}, errors.New("read an Idempotency-Key from the store: broken row")
	}
	row := commit.Keyed{Key: number(k), At: time.Unix(0, int64(number(v[:8]))).UTC(), Job: string(v[keyedHead:])}
	n := 8 + copy(row.Hash[:], v[8:])
	copy(row.Request[:], v[n:])
	return row, nil
}

// Keyed implements [commit.Store].
func (s *Store) Keyed(k uint64) (row commit.Keyed, ok bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) (err error) {
		v := bucket(tx, bucketKeyed).Get(key(k))
		if v == nil {
			return nil
		}
		ok = true
		row, err = decodeKeyed(key(k), v)
		return err
	})
	return row, ok, err
}

// EachKeyed calls f for every request that came with an Idempotency-Key and is kept, the oldest first.
func (s *Store) EachKeyed(f func(commit.Keyed)) error {
	return s.db.View(func(tx *bolt.Tx) error {
		return bucket(tx, bucketKeyed).ForEach(func(k, v []byte) error {
			row, err := decodeKeyed(k, v)
			if err != nil {
				return err
			}
			f(row)
			return nil
		})
	})
}
