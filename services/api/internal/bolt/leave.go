package bolt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
)

// leave takes settled jobs off the window, puts returned ones back on it, and removes pruned ones with their row of the log, their entries and their Idempotency-Key.
func leave(tx *bolt.Tx, settled, returned []uint64, pruned []*job.Job) error {
	window, rows, ids, log := bucket(tx, bucketWindow), bucket(tx, bucketJobs), bucket(tx, bucketJobIDs), bucket(tx, bucketLog)
	keyed := bucket(tx, bucketKeyed)
	for _, k := range settled {
		if err := window.Delete(key(k)); err != nil {
			return err
		}
	}
	for _, k := range returned {
		if err := window.Put(key(k), nil); err != nil {
			return err
		}
	}
	for _, j := range pruned {
		k := key(j.Key)
		if rows.Get(k) == nil {
			continue
		}
		err := errors.Join(rows.Delete(k), ids.Delete([]byte(j.ID)), window.Delete(k), keyed.Delete(k), rows.SetSequence(max(rows.Sequence(), 1)-1))
		if b := log.Bucket([]byte(j.Stream)); b != nil {
			err = errors.Join(err, b.Delete(k))
		}
		if err != nil {
			return fmt.Errorf("prune job %s: %w", j.ID, err)
		}
	}
	return nil
}

func putMarks(tx *bolt.Tx, marks map[string]commit.Mark) error {
	rows := bucket(tx, bucketMarks)
	for stream, m := range marks {
		b, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("encode the mark of %s: %w", stream, err)
		}
		if err := rows.Put([]byte(stream), b); err != nil {
			return err
		}
	}
	return nil
}

// Mark is how far a stream is known to have come; zero for one that was never seen.
func (s *Store) Mark(stream string) (m commit.Mark, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		b := bucket(tx, bucketMarks).Get([]byte(stream))
		if b == nil {
			return nil
		}
		return decode(b, "the mark of "+stream, &m)
	})
	return m, err
}

// EntryWaits implements [commit.Store].
func (s *Store) EntryWaits(k uint64) (waits bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		waits = bucket(tx, bucketEntries).Get(key(k)) != nil
		return nil
	})
	return waits, err
}

// OnWindow implements [commit.Store].
func (s *Store) OnWindow(k uint64) (on bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		at, _ := bucket(tx, bucketWindow).Cursor().Seek(key(k))
		on = bytes.Equal(at, key(k)) // its value is empty
		return nil
	})
	return on, err
}

// EachInWindow calls f for every job that has not ended or has a message in a stream, the oldest first.
func (s *Store) EachInWindow(f func(*job.Job)) error {
	return s.db.View(func(tx *bolt.Tx) error {
		rows := bucket(tx, bucketJobs)
		return bucket(tx, bucketWindow).ForEach(func(k, _ []byte) error {
			b := rows.Get(k)
			if b == nil {
				return nil
			}
			var j job.Job
			if err := decode(b, "a job", &j); err != nil {
				return err
			}
			f(&j)
			return nil
		})
	})
}

// OldJobs gives up to limit jobs, the oldest first, from the one after a log key.
func (s *Store) OldJobs(after uint64, limit int) ([]*job.Job, error) {
	var found []*job.Job
	err := s.db.View(func(tx *bolt.Tx) error {
		c := bucket(tx, bucketJobs).Cursor()
		for k, v := c.Seek(key(after + 1)); k != nil && len(found) < limit; k, v = c.Next() {
			var j job.Job
			if err := decode(v, "a job", &j); err != nil {
				return err
			}
			found = append(found, &j)
		}
		return nil
	})
	return found, err
}
