package accept_test

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"handoff/services/api/internal/accept"
)

const writers = 64

// many runs f from so many goroutines until b.N calls are made, and gives calls a second.
func many(b *testing.B, f func(n int64)) float64 {
	b.Helper()
	var n atomic.Int64
	var wg sync.WaitGroup
	begun := time.Now()
	for range writers {
		wg.Go(func() {
			for {
				i := n.Add(1)
				if i > int64(b.N) {
					return
				}
				f(i)
			}
		})
	}
	wg.Wait()
	return float64(b.N) / time.Since(begun).Seconds()
}

// BenchmarkRegister compares registering a user with the least that a group commit in bbolt can cost on this disk: one row with a
// growing key of the size of an event, as many in a transaction as have queued.
func BenchmarkRegister(b *testing.B) {
	r := opened(b)
	raw := rawCommits(b)
	b.ResetTimer()
	ours := many(b, func(n int64) {
		if _, err := r.Register(b.Context(), accept.Key{}, fmt.Sprintf("user%d@example.org", n), "testuser", false); err != nil {
			b.Error(err)
		}
	})
	b.StopTimer()
	theirs := many(b, func(int64) { raw() })
	b.ReportMetric(ours, "accepts/s")
	b.ReportMetric(theirs, "raw/s")
	b.ReportMetric(ours/theirs, "ratio")
}

// rawCommits gives a function that puts one row and returns once it is on disk.
func rawCommits(b *testing.B) func() {
	b.Helper()
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "raw.db"), 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	queue := make(chan chan struct{}, writers)
	var writer sync.WaitGroup
	writer.Go(func() {
		row, key := make([]byte, 420), uint64(0)
		var waiting []chan struct{}
		for first := range queue {
			waiting = append(waiting[:0], first)
			for more := true; more; {
				select {
				case w, ok := <-queue:
					if more = ok; ok {
						waiting = append(waiting, w)
					}
				default:
					more = false
				}
			}
			err := db.Update(func(tx *bbolt.Tx) error {
				rows, err := tx.CreateBucketIfNotExists([]byte("rows"))
				if err != nil {
					return err
				}
				rows.FillPercent = 0.95
				for range waiting {
					key++
					if err := rows.Put(binary.BigEndian.AppendUint64(nil, key), row); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Error(err)
			}
			for _, w := range waiting {
				w <- struct{}{}
			}
		}
	})
	b.Cleanup(func() {
		close(queue)
		writer.Wait()
		_ = db.Close()
	})
	return func() {
		done := make(chan struct{}, 1)
		queue <- done
		<-done
	}
}
