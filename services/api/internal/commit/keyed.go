package commit

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"handoff/shared/event"
)

// KeyLife is how long a request is known by its Idempotency-Key, unless its job leaves the store before.
const KeyLife = 24 * time.Hour

// A Sum is a SHA-256.
type Sum [sha256.Size]byte

// String gives the sum in hex, as an event carries it.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// A Keyed is what is kept of a request that came with an Idempotency-Key, so that it is known when it comes again.
type Keyed struct {
	Key     uint64 // in the log: its job's, or its own if it made none
	Job     string
	Hash    Sum // of the Idempotency-Key
	Request Sum // of all that must be the same when it comes again
	At      time.Time
}

// Over reports whether the request need not be known any more.
func (k *Keyed) Over(now time.Time) bool { return now.Sub(k.At) >= KeyLife }

// AddKeyed notes the request that a job's event was made of, if the event says that it came with an Idempotency-Key. key is the job's,
// at is when the request came. See [View.AddRequest].
func (v *View) AddKeyed(e *event.Envelope, key uint64, at time.Time) {
	hash, ok := parseSum(e.IdempotencyHash)
	request, ok2 := parseSum(e.BodyHash)
	if ok && ok2 {
		v.AddRequest(Keyed{Key: key, Job: e.ID, Hash: hash, Request: request, At: at})
	}
}

// AddRequest notes a request under a log key of its own or its job's, in the order of these keys. Of two under one Idempotency-Key the
// first one stands.
func (v *View) AddRequest(k Keyed) {
	if _, known := v.keyed[k.Hash]; known {
		return
	}
	if v.keyed == nil {
		v.keyed = map[Sum]int{}
	}
	v.keyed[k.Hash] = len(v.ch.Keyed)
	v.ch.Keyed = append(v.ch.Keyed, k)
}

// NewKeyed gives the request that was noted in this transaction under the sum of an Idempotency-Key.
func (v *View) NewKeyed(hash Sum) (Keyed, bool) {
	i, ok := v.keyed[hash]
	if !ok {
		return Keyed{}, false
	}
	return v.ch.Keyed[i], true
}

// Keyed gives the request under a log key as the store has it; false when there is none, or none any more.
func (v *View) Keyed(key uint64) (Keyed, bool, error) { return v.c.store.Keyed(key) }

func parseSum(s string) (sum Sum, ok bool) {
	if len(s) != hex.EncodedLen(len(sum)) {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(s))
	return sum, err == nil
}
