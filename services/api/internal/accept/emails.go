package accept

import (
	"errors"
	"hash/maphash"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/user"
)

// Emails knows which addresses are taken: a 64-bit fingerprint of each in memory, and the store to confirm a hit. It is kept
// outside the store because one key in random order would cost an accept more than all the rest of its writing. It belongs to
// the goroutine that writes.
type Emails struct {
	print func(emailKey string) uint64
	first map[uint64]uint64   // fingerprint → log key of a user
	more  map[uint64][]uint64 // further users under the same fingerprint
}

// NewEmails makes an empty set.
func NewEmails() *Emails {
	seed := maphash.MakeSeed()
	return newEmails(func(key string) uint64 { return maphash.String(seed, key) })
}

func newEmails(fingerprint func(emailKey string) uint64) *Emails {
	return &Emails{print: fingerprint, first: map[uint64]uint64{}, more: map[uint64][]uint64{}}
}

// Load adds a user that is in the store already.
func (e *Emails) Load(u user.User) { e.add(e.print(user.EmailKey(u.Email)), u.Key) }

// Taken reports whether a user has the address.
func (e *Emails) Taken(v *commit.View, email string) (bool, error) {
	wanted := user.EmailKey(email)
	fp := e.print(wanted)
	first, ok := e.first[fp]
	if !ok {
		return false, nil
	}
	for _, key := range append([]uint64{first}, e.more[fp]...) {
		u, err := v.UserByKey(key)
		if errors.Is(err, user.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		if user.EmailKey(u.Email) == wanted {
			return true, nil
		}
	}
	return false, nil
}

// Add takes the address for the user with a log key, unless the transaction of v fails.
func (e *Emails) Add(v *commit.View, email string, key uint64) {
	fp := e.print(user.EmailKey(email))
	e.add(fp, key)
	v.OnRollback(func() { e.remove(fp, key) })
}

func (e *Emails) add(fp, key uint64) {
	if _, ok := e.first[fp]; ok {
		e.more[fp] = append(e.more[fp], key)
		return
	}
	e.first[fp] = key
}

func (e *Emails) remove(fp, key uint64) {
	rest := e.more[fp]
	if e.first[fp] == key {
		delete(e.first, fp)
		delete(e.more, fp)
		for _, k := range rest {
			e.add(fp, k)
		}
		return
	}
	delete(e.more, fp)
	for _, k := range rest {
		if k != key {
			e.more[fp] = append(e.more[fp], k)
		}
	}
}
