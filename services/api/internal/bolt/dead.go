package bolt

import (
	"bytes"

	bolt "go.etcd.io/bbolt"

	"handoff/services/api/internal/job"
)

// hasDead reports whether a job's row may have a dead task: reading all of it takes ten times as long, and few have one.
func hasDead(row []byte) bool { return bytes.Contains(row, []byte(`"state":"dead"`)) }

// DeadJobs looks at up to limit jobs, the oldest first, from the one after a log key, and gives those with a dead task. next is the log
// key of the last one it looked at; after itself when there are no more.
func (s *Store) DeadJobs(after uint64, limit int) (found []*job.Job, next uint64, err error) {
	next = after
	any := job.Dead{}
	err = s.db.View(func(tx *bolt.Tx) error {
		c := bucket(tx, bucketJobs).Cursor()
		for k, v := c.Seek(key(after + 1)); k != nil && limit > 0; k, v = c.Next() {
			limit--
			next = number(k)
			if !hasDead(v) {
				continue
			}
			var j job.Job
			if err := decode(v, "a job", &j); err != nil {
				return err
			}
			if any.Count(&j) > 0 {
				found = append(found, &j)
			}
		}
		return nil
	})
	return found, next, err
}

// Event gives a job's event, as it was published.
func (s *Store) Event(j *job.Job) ([]byte, error) {
	a, err := s.Accepted(j.Stream, j.Key)
	return a.Data, err
}
