package bolt

import (
	"bytes"
	"time"

	bolt "go.etcd.io/bbolt"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
)

// maxLog is about how many bytes of events are read from the log at once.
const maxLog = 4 << 20

// Job gives the job with an id; [job.ErrNotFound] when there is none.
func (s *Store) Job(id string) (*job.Job, error) {
	var j job.Job
	err := s.db.View(func(tx *bolt.Tx) error {
		k := bucket(tx, bucketJobIDs).Get([]byte(id))
		if k == nil {
			return job.ErrNotFound
		}
		return decode(bucket(tx, bucketJobs).Get(k), "job "+id, &j)
	})
	if err != nil {
		return nil, err
	}
	return &j, nil
}

// Jobs gives the jobs that q asks for, the latest first. [job.ErrNotFound] when q.After names no job.
func (s *Store) Jobs(q job.Query) ([]*job.Job, error) {
	var found []*job.Job
	err := s.db.View(func(tx *bolt.Tx) error {
		c := bucket(tx, bucketJobs).Cursor()
		k, v := c.Last()
		if q.After != "" {
			after := bucket(tx, bucketJobIDs).Get([]byte(q.After))
			if after == nil {
				return job.ErrNotFound
			}
			c.Seek(after)
			k, v = c.Prev()
		}
		for ; k != nil && len(found) < q.Limit; k, v = c.Prev() {
			if q.Dead != nil && !hasDead(v) {
				continue
			}
			var j job.Job
			if err := decode(v, "a job", &j); err != nil {
				return err
			}
			if q.Selects(&j) {
				found = append(found, &j)
			}
		}
		return nil
	})
	return found, err
}

// User gives the user with an id; [user.ErrNotFound] when there is none.
func (s *Store) User(id string) (user.User, error) {
	var u user.User
	err := s.db.View(func(tx *bolt.Tx) error {
		k := bucket(tx, bucketUserIDs).Get([]byte(id))
		if k == nil {
			return user.ErrNotFound
		}
		return decode(bucket(tx, bucketUsers).Get(k), "user "+id, &u)
	})
	return u, err
}

// UserByKey gives the user with a log key; [user.ErrNotFound] when there is none.
func (s *Store) UserByKey(k uint64) (user.User, error) {
	var u user.User
	err := s.db.View(func(tx *bolt.Tx) error {
		b := bucket(tx, bucketUsers).Get(key(k))
		if b == nil {
			return user.ErrNotFound
		}
		return decode(b, "a user", &u)
	})
	return u, err
}

// Users gives up to limit users, the oldest first, from the one after the user with id after (empty: from the first).
// [user.ErrNotFound] when after names no user.
func (s *Store) Users(after string, limit int) ([]user.User, error) {
	found := []user.User{}
	err := s.db.View(func(tx *bolt.Tx) error {
		c := bucket(tx, bucketUsers).Cursor()
		k, v := c.First()
		if after != "" {
			from := bucket(tx, bucketUserIDs).Get([]byte(after))
			if from == nil {
				return user.ErrNotFound
			}
			c.Seek(from)
			k, v = c.Next()
		}
		for ; k != nil && len(found) < limit; k, v = c.Next() {
			var u user.User
			if err := decode(v, "a user", &u); err != nil {
				return err
			}
			found = append(found, u)
		}
		return nil
	})
	return found, err
}

// EachUser calls f for every user, the oldest first.
func (s *Store) EachUser(f func(user.User)) error {
	return s.db.View(func(tx *bolt.Tx) error {
		return bucket(tx, bucketUsers).ForEach(func(_, v []byte) error {
			var u user.User
			if err := decode(v, "a user", &u); err != nil {
				return err
			}
			f(u)
			return nil
		})
	})
}

// Accepted implements [commit.Store].
func (s *Store) Accepted(stream string, k uint64) (commit.Accept, error) {
	var a commit.Accept
	err := s.db.View(func(tx *bolt.Tx) error {
		b := bucket(tx, bucketLog).Bucket([]byte(stream))
		if b == nil {
			return job.ErrNotFound
		}
		v := b.Get(key(k))
		if v == nil {
			return job.ErrNotFound
		}
		var err error
		a, err = decodeAccept(stream, key(k), v)
		return err
	})
	return a, err
}

// Log gives up to limit of a stream's accepts, in order, from the first one after the log key. Fewer when their events are large:
// only none at all means that there are no more.
func (s *Store) Log(stream string, after uint64, limit int) ([]commit.Accept, error) {
	var found []commit.Accept
	err := s.db.View(func(tx *bolt.Tx) error {
		b := bucket(tx, bucketLog).Bucket([]byte(stream))
		if b == nil {
			return nil
		}
		c, size := b.Cursor(), 0
		for k, v := c.Seek(key(after + 1)); k != nil && len(found) < limit && size < maxLog; k, v = c.Next() {
			a, err := decodeAccept(stream, k, v)
			if err != nil {
				return err
			}
			found = append(found, a)
			size += len(a.Data)
		}
		return nil
	})
	return found, err
}

// LogSize gives how many accepts of a stream there are after the log key, and the size of their events in bytes.
func (s *Store) LogSize(stream string, after uint64) (count, bytes int64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		b := bucket(tx, bucketLog).Bucket([]byte(stream))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := c.Seek(key(after + 1)); k != nil; k, v = c.Next() {
			a, err := decodeAccept(stream, k, v)
			if err != nil {
				return err
			}
			count++
			bytes += int64(len(a.Data))
		}
		return nil
	})
	return count, bytes, err
}

// Entries gives a stream's entries, in order.
func (s *Store) Entries(stream string) ([]commit.Entry, error) {
	var found []commit.Entry
	err := s.db.View(func(tx *bolt.Tx) error {
		return bucket(tx, bucketEntries).ForEach(func(_, v []byte) error {
			var e commit.Entry
			if err := decode(v, "an entry", &e); err != nil {
				return err
			}
			if e.Stream == stream {
				found = append(found, e)
			}
			return nil
		})
	})
	return found, err
}

// OrphansOf implements [commit.Store].
func (s *Store) OrphansOf(jobID string) ([]commit.Orphan, error) {
	var found []commit.Orphan
	err := s.db.View(func(tx *bolt.Tx) (err error) {
		found, err = orphansOf(tx, jobID)
		return err
	})
	return found, err
}

func orphansOf(tx *bolt.Tx, jobID string) ([]commit.Orphan, error) {
	var found []commit.Orphan
	c := bucket(tx, bucketOrphans).Cursor()
	prefix := orphanKey(jobID, "")
	for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		var o commit.Orphan
		o.Job, o.Service = splitOrphanKey(k)
		if err := decode(v, "the record of "+o.Job, &o.Seen); err != nil {
			return nil, err
		}
		found = append(found, o)
	}
	return found, nil
}

// LastKey is the highest log key that was given out.
func (s *Store) LastKey() (n uint64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		n = number(bucket(tx, bucketMeta).Get([]byte(metaLastKey)))
		return nil
	})
	return n, err
}

// Met reports whether the store has met its NATS.
func (s *Store) Met() (met bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		met = bucket(tx, bucketMeta).Get([]byte(metaMet)) != nil
		return nil
	})
	return met, err
}

// Position is the log key up to which all accepts of a stream are in it.
func (s *Store) Position(stream string) (n uint64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		n = number(bucket(tx, bucketPositions).Get([]byte(stream)))
		return nil
	})
	return n, err
}

// Cursor is the server time up to which a stream has been read; zero for one that was never read.
func (s *Store) Cursor(stream string) (at time.Time, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		if n := number(bucket(tx, bucketCursors).Get([]byte(stream))); n > 0 {
			at = time.Unix(0, int64(n))
		}
		return nil
	})
	return at, err
}
