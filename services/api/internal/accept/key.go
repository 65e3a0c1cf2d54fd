package accept

import (
	"crypto/sha256"
	"sync"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// A Key makes a request one that is accepted once, however often it comes. The zero Key makes it one like any other.
type Key struct {
	hash    commit.Sum // of the Idempotency-Key
	request commit.Sum // of all that must be the same when it comes again
}

// NewKey makes the key of a request from its Idempotency-Key and from all that must be the same when it comes again. The sums
// are plain ones: an api.db that is made anew must know them again from the events that carry them.
func NewKey(idempotencyKey string, request []byte) Key {
	return Key{hash: sha256.Sum256([]byte("Idempotency-Key: " + idempotencyKey)), request: sha256.Sum256(request)}
}

func (k Key) none() bool { return k == Key{} }

// sign has the event say which request it was made of.
func (k Key) sign(e *event.Envelope) {
	if !k.none() {
		e.IdempotencyHash, e.BodyHash = k.hash.String(), k.request.String()
	}
}

// earlier gives the job that the same request was accepted as before; nil when it is new. The error is [ErrKeyReused] when another
// request came with the same Idempotency-Key.
func (a *Accepter) earlier(v *commit.View, key Key, now time.Time) (*job.Job, error) {
	if key.none() {
		return nil, nil
	}
	r, ok, err := a.keys.find(v, key.hash, now)
	switch {
	case err != nil || !ok:
		return nil, err
	case r.Request != key.request:
		return nil, ErrKeyReused
	}
	return v.Job(r.Job) // it is there, since the two leave together, but for one that was only asked for again
}

// flights are the requests with an Idempotency-Key that are under way.
type flights struct {
	mu     sync.Mutex
	hashes map[commit.Sum]struct{}
}

// begin reports whether no other request with the key is under way. Then end must be called.
func (f *flights) begin(k Key) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.hashes[k.hash]; ok {
		return false
	}
	f.hashes[k.hash] = struct{}{}
	return true
}

func (f *flights) end(k Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.hashes, k.hash)
}
