package groupcommit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// maxBatch is how many accepts share a transaction at most, as in the api.
	maxBatch = 1024
	// initialMmap is address space: growing the map would stop the writer.
	initialMmap = 4 << 30
)

// table is a bucket that each accept writes one row to. Keys of all of them only grow.
type table struct {
	name string
	key  int // bytes; the last eight count
	size int // of a row
	fill float64
}

// tables are the rows of an accept that matter, about as large as they are there.
func tables() []table {
	return []table{
		{"log", 8, 550, 0.95},
		{"jobs", 8, 300, 0.8},
		{"job-ids", 36, 8, 0.9},
		{"users", 8, 220, 0.95},
		{"user-ids", 36, 8, 0.9},
	}
}

// Result is what was reached.
type Result struct {
	Accepts int64
	Commits int64
	Took    time.Duration
}

// Rate is accepts in a second.
func (r Result) Rate() float64 { return float64(r.Accepts) / r.Took.Seconds() }

// Batch is how many accepts shared a commit on average.
func (r Result) Batch() float64 { return float64(r.Accepts) / float64(max(r.Commits, 1)) }

// Run has writers goroutines write accepts to a new file at path, one after the other each, for as long as d.
func Run(ctx context.Context, path string, writers int, d time.Duration) (_ Result, err error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		NoFreelistSync: true, FreelistType: bolt.FreelistMapType, InitialMmapSize: initialMmap,
	})
	if err != nil {
		return Result{}, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	c := &committer{db: db, asked: make(chan chan error), stopped: make(chan struct{})}
	if err := c.layOut(); err != nil {
		return Result{}, fmt.Errorf("lay out %s: %w", path, err)
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	ended := make(chan struct{})
	start := time.Now()
	go func() {
		defer close(ended)
		c.run()
	}()
	var done atomic.Int64
	var wait sync.WaitGroup
	for range writers {
		wait.Go(func() { done.Add(c.callUntil(ctx)) })
	}
	wait.Wait()
	took := time.Since(start)
	close(c.stopped)
	<-ended
	if c.failed != nil {
		return Result{}, fmt.Errorf("write %s: %w", path, c.failed)
	}
	return Result{Accepts: done.Load(), Commits: c.commits, Took: took}, nil
}

type committer struct {
	db      *bolt.DB
	asked   chan chan error
	stopped chan struct{}
	next    uint64
	commits int64
	failed  error
}

func (c *committer) layOut() error {
	return c.db.Update(func(tx *bolt.Tx) error {
		for _, t := range tables() {
			if _, err := tx.CreateBucket([]byte(t.name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// callUntil is a caller: it gives how many of its accepts were kept.
func (c *committer) callUntil(ctx context.Context) (n int64) {
	answer := make(chan error, 1)
	for ctx.Err() == nil {
		c.asked <- answer
		if <-answer != nil {
			return n
		}
		n++
	}
	return n
}

// run answers callers until it is stopped.
func (c *committer) run() {
	rows := make([][]byte, len(tables()))
	for i, t := range tables() {
		rows[i] = make([]byte, t.size)
	}
	batch := make([]chan error, 0, maxBatch)
	for {
		batch = batch[:0]
		select {
		case answer := <-c.asked:
			batch = append(batch, answer)
		case <-c.stopped:
			return
		}
	gather:
		for len(batch) < maxBatch {
			select {
			case answer := <-c.asked:
				batch = append(batch, answer)
			default:
				break gather
			}
		}
		err := c.write(len(batch), rows)
		if err != nil {
			c.failed = err
		}
		for _, answer := range batch {
			answer <- err
		}
	}
}

func (c *committer) write(n int, rows [][]byte) error {
	c.commits++
	return c.db.Update(func(tx *bolt.Tx) error {
		for i, t := range tables() {
			b := tx.Bucket([]byte(t.name))
			b.FillPercent = t.fill
			for k := range n {
				key := make([]byte, t.key)
				binary.BigEndian.PutUint64(key[t.key-8:], c.next+uint64(k)) //nolint:gosec // k is no less than 0
				if err := b.Put(key, rows[i]); err != nil {
					return err
				}
			}
		}
		c.next += uint64(n) //nolint:gosec // as above
		return nil
	})
}
