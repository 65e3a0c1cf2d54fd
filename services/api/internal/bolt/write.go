package bolt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
)

// Commit implements [commit.Store].
func (s *Store) Commit(c *commit.Changes) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		return errors.Join(
			putAccepts(tx, c.Accepts), putJobs(tx, c.Jobs), putUsers(tx, c.Users),
			putEntries(tx, c.Entries, c.Left), putOrphans(tx, c.Orphans, c.Adopted), dropOrphans(tx, c.Dropped), putProgress(tx, c), putIdentity(tx, c), putMarks(tx, c.Marks), putKeyed(tx, c.Keyed), leave(tx, c.Settled, c.Returned, c.Pruned),
		)
	})
	err = harmless(err)
	s.failed.Store(&err)
	return err
}

// Err gives what kept the last transaction from being written, or nil.
func (s *Store) Err() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// growFailed is how bbolt begins the error of a file that could not be made larger; it does not wrap the cause.
const growFailed = "file resize error: "

// harmless tells what a failed write means: it has changed nothing that is referred to, and the next one may pass. A failed fsync is
// another matter: what it leaves behind is unknown.
func harmless(err error) error {
	var failed *fs.PathError
	grow := err != nil && strings.HasPrefix(err.Error(), growFailed)
	if write := errors.As(err, &failed) && failed.Op == "write"; !write && !grow {
		return err
	}
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) || grow && strings.HasSuffix(err.Error(), full.Error()) {
			return fmt.Errorf("%w: %w", commit.ErrNoSpace, err)
		}
	}
	return fmt.Errorf("%w: %w", commit.ErrNotWritten, err)
}

func putAccepts(tx *bolt.Tx, accepts []commit.Accept) error {
	log, window := bucket(tx, bucketLog), bucket(tx, bucketWindow)
	window.FillPercent = 0.95
	for i := range accepts {
		a := &accepts[i]
		b, err := log.CreateBucketIfNotExists([]byte(a.Stream))
		if err != nil {
			return err
		}
		b.FillPercent = 0.95 // keys only grow
		if err := errors.Join(b.Put(key(a.Key), encodeAccept(a)), window.Put(key(a.Key), nil)); err != nil {
			return err
		}
	}
	return nil
}

// putJobs writes jobs in the order of their keys, which is that of the pages.
func putJobs(tx *bolt.Tx, jobs map[string]*job.Job) error {
	sorted := make([]*job.Job, 0, len(jobs))
	for _, j := range jobs {
		sorted = append(sorted, j)
	}
	slices.SortFunc(sorted, func(a, b *job.Job) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	rows, ids := bucket(tx, bucketJobs), bucket(tx, bucketJobIDs)
	rows.FillPercent, ids.FillPercent = 0.8, 0.9
	for _, j := range sorted {
		b, err := json.Marshal(j)
		if err != nil {
			return fmt.Errorf("encode job %s: %w", j.ID, err)
		}
		k := key(j.Key)
		isNew := rows.Get(k) == nil
		if err := rows.Put(k, b); err != nil {
			return err
		}
		if !isNew {
			continue
		}
		if err := errors.Join(ids.Put([]byte(j.ID), k), count(rows)); err != nil {
			return err
		}
	}
	return nil
}

// count has a bucket's sequence say how many rows it holds; see [Store.Size].
func count(b *bolt.Bucket) error { return b.SetSequence(b.Sequence() + 1) }

func putUsers(tx *bolt.Tx, users []user.User) error {
	rows, ids := bucket(tx, bucketUsers), bucket(tx, bucketUserIDs)
	rows.FillPercent, ids.FillPercent = 0.95, 0.9
	for i := range users {
		b, err := json.Marshal(&users[i])
		if err != nil {
			return fmt.Errorf("encode user %s: %w", users[i].ID, err)
		}
		k := key(users[i].Key)
		if err := errors.Join(rows.Put(k, b), ids.Put([]byte(users[i].ID), k), count(rows)); err != nil {
			return err
		}
	}
	return nil
}

func putEntries(tx *bolt.Tx, entries []commit.Entry, left []uint64) error {
	rows := bucket(tx, bucketEntries)
	for i := range entries {
		b, err := json.Marshal(&entries[i])
		if err != nil {
			return fmt.Errorf("encode entry %d: %w", entries[i].Key, err)
		}
		if err := rows.Put(key(entries[i].Key), b); err != nil {
			return err
		}
	}
	for _, k := range left {
		if err := rows.Delete(key(k)); err != nil {
			return err
		}
	}
	return nil
}

func putOrphans(tx *bolt.Tx, orphans []commit.Orphan, adopted []string) error {
	rows := bucket(tx, bucketOrphans)
	for i := range orphans {
		b, err := json.Marshal(&orphans[i].Seen)
		if err != nil {
			return fmt.Errorf("encode record of %s: %w", orphans[i].Job, err)
		}
		if err := rows.Put(orphanKey(orphans[i].Job, orphans[i].Service), b); err != nil {
			return err
		}
	}
	for _, id := range adopted {
		found, err := orphansOf(tx, id)
		if err != nil {
			return err
		}
		for _, o := range found {
			if err := rows.Delete(orphanKey(o.Job, o.Service)); err != nil {
				return err
			}
		}
	}
	return nil
}

func putProgress(tx *bolt.Tx, c *commit.Changes) error {
	meta, positions, cursors := bucket(tx, bucketMeta), bucket(tx, bucketPositions), bucket(tx, bucketCursors)
	if c.LastKey > number(meta.Get([]byte(metaLastKey))) {
		if err := meta.Put([]byte(metaLastKey), key(c.LastKey)); err != nil {
			return err
		}
	}
	if c.Met {
		if err := meta.Put([]byte(metaMet), []byte{1}); err != nil {
			return err
		}
	}
	for stream, k := range c.Positions {
		if err := positions.Put([]byte(stream), key(k)); err != nil {
			return err
		}
	}
	for stream, at := range c.Cursors {
		if at.IsZero() {
			if err := cursors.Delete([]byte(stream)); err != nil {
				return err
			}
			continue
		}
		if err := cursors.Put([]byte(stream), key(uint64(at.UnixNano()))); err != nil {
			return err
		}
	}
	return nil
}
