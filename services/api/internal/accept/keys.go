package accept

import (
	"hash/maphash"
	"slices"
	"time"

	"handoff/services/api/internal/commit"
)

// Keys knows the requests that came with an Idempotency-Key: a fingerprint of each in memory, and the store to confirm a hit. What a
// transaction adds it is told of once that is on disk, by [Keys.Committed], and so has nothing to take back. It belongs to the
// goroutine that writes.
type Keys struct {
	print  func(commit.Sum) uint64
	prints fingerprints
	queue  []noted // in the order of their log keys
	left   int     // how many of the queue are gone
}

// noted is what must be known to forget a request.
type noted struct {
	key, print uint64
	at         int64 // ns; or gone
}

// gone marks one that was forgotten before those in front of it.
const gone = -1 << 63

// NewKeys makes an empty set.
func NewKeys() *Keys {
	seed := maphash.MakeSeed()
	return newKeys(func(s commit.Sum) uint64 { return maphash.Bytes(seed, s[:]) })
}

func newKeys(fingerprint func(commit.Sum) uint64) *Keys {
	return &Keys{print: fingerprint, prints: newFingerprints(0)}
}

// Load adds a request that is in the store. They come in the order of their log keys.
func (k *Keys) Load(r commit.Keyed) {
	n := noted{key: r.Key, print: k.print(r.Hash), at: r.At.UnixNano()}
	k.prints.add(n.print, n.key)
	k.queue = append(k.queue, n)
}

// Committed takes over what a transaction has added, and forgets what has left with its job or is over. It is given to the committer.
func (k *Keys) Committed(c *commit.Changes) {
	for _, j := range c.Pruned {
		k.forget(j.Key)
	}
	for i := range c.Keyed {
		k.Load(c.Keyed[i])
	}
	if n := len(c.Keyed); n > 0 {
		k.expire(c.Keyed[n-1].At)
	}
	k.tidy()
}

// find gives the request that came with an Idempotency-Key whose sum is hash.
func (k *Keys) find(v *commit.View, hash commit.Sum, now time.Time) (commit.Keyed, bool, error) {
	for _, key := range k.prints.under(k.print(hash)) {
		r, ok, err := v.Keyed(key)
		if err != nil {
			return commit.Keyed{}, false, err
		}
		if ok && r.Hash == hash && !r.Over(now) {
			return r, true, nil
		}
	}
	r, ok := v.NewKeyed(hash)
	return r, ok && !r.Over(now), nil
}

func (k *Keys) forget(key uint64) {
	i, found := slices.BinarySearchFunc(k.queue, key, func(n noted, key uint64) int {
		switch {
		case n.key < key:
			return -1
		case n.key > key:
			return 1
		}
		return 0
	})
	if found && k.queue[i].at != gone {
		k.prints.remove(k.queue[i].print, key)
		k.queue[i].at = gone
		k.left++
	}
}

func (k *Keys) expire(now time.Time) {
	until := now.Add(-commit.KeyLife).UnixNano()
	for len(k.queue) > 0 && k.queue[0].at <= until {
		if n := k.queue[0]; n.at == gone {
			k.left--
		} else {
			k.prints.remove(n.print, n.key)
		}
		k.queue = k.queue[1:]
	}
}

// tidy gives back the room of those that are gone, once they are most of the queue.
func (k *Keys) tidy() {
	if k.left > 64 && k.left > len(k.queue)/2 {
		k.queue = slices.Clone(slices.DeleteFunc(k.queue, func(n noted) bool { return n.at == gone }))
		k.left = 0
	}
}
