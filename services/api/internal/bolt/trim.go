package bolt

import (
	"bytes"

	bolt "go.etcd.io/bbolt"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
)

// OffWindow looks at up to limit jobs, the oldest first, from the one after a log key, and gives those that have ended and have no
// message in a stream. next is the log key of the last one it looked at; after itself when there are no more.
func (s *Store) OffWindow(after uint64, limit int) (found []*job.Job, next uint64, err error) {
	next = after
	err = s.db.View(func(tx *bolt.Tx) error {
		c, on := bucket(tx, bucketJobs).Cursor(), bucket(tx, bucketWindow).Cursor()
		w, _ := on.Seek(key(after + 1))
		for k, v := c.Seek(key(after + 1)); k != nil && limit > 0; k, v = c.Next() {
			limit--
			next = number(k)
			for w != nil && bytes.Compare(w, k) < 0 {
				w, _ = on.Next()
			}
			if bytes.Equal(w, k) {
				continue
			}
			var j job.Job
			if err := decode(v, "a job", &j); err != nil {
				return err
			}
			found = append(found, &j)
		}
		return nil
	})
	return found, next, err
}

// JobByKey gives the job with a log key; [job.ErrNotFound] when there is none.
func (s *Store) JobByKey(k uint64) (*job.Job, error) {
	var j job.Job
	err := s.db.View(func(tx *bolt.Tx) error {
		b := bucket(tx, bucketJobs).Get(key(k))
		if b == nil {
			return job.ErrNotFound
		}
		return decode(b, "a job", &j)
	})
	if err != nil {
		return nil, err
	}
	return &j, nil
}

// Orphans gives up to limit records that were read before their job, from the one after another (zero: from the first).
func (s *Store) Orphans(after commit.Orphan, limit int) ([]commit.Orphan, error) {
	var found []commit.Orphan
	err := s.db.View(func(tx *bolt.Tx) error {
		last := orphanKey(after.Job, after.Service)
		c := bucket(tx, bucketOrphans).Cursor()
		for k, v := c.Seek(last); k != nil && len(found) < limit; k, v = c.Next() {
			if bytes.Equal(k, last) {
				continue
			}
			var o commit.Orphan
			o.Job, o.Service = splitOrphanKey(k)
			if err := decode(v, "the record of "+o.Job, &o.Seen); err != nil {
				return err
			}
			found = append(found, o)
		}
		return nil
	})
	return found, err
}

// dropOrphans removes those that are still as they were.
func dropOrphans(tx *bolt.Tx, dropped []commit.Orphan) error {
	rows := bucket(tx, bucketOrphans)
	for i := range dropped {
		k := orphanKey(dropped[i].Job, dropped[i].Service)
		b := rows.Get(k)
		if b == nil {
			continue
		}
		var now job.Seen
		if err := decode(b, "the record of "+dropped[i].Job, &now); err != nil {
			return err
		}
		if now.Revision != dropped[i].Seen.Revision {
			continue
		}
		if err := rows.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
