package accept

import (
	"errors"
	"hash/maphash"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/user"
)

// Emails knows which addresses are taken: a fingerprint of each in memory, and the store to confirm a hit. It belongs to the goroutine
// that writes.
type Emails struct {
	print func(emailKey string) uint64
	users fingerprints
}

// NewEmails makes an empty set.
func NewEmails() *Emails {
	seed := maphash.MakeSeed()
	return newEmails(func(key string) uint64 { return maphash.String(seed, key) })
}

func newEmails(fingerprint func(emailKey string) uint64) *Emails {
	return &Emails{print: fingerprint, users: newFingerprints(0)}
}

// Expect makes room for so many users, before any is loaded: growing takes as long as filling.
func (e *Emails) Expect(users int64) { e.users = newFingerprints(int(users)) }

// Load adds the address of a user that is in the store already, under a log key.
func (e *Emails) Load(key uint64, email string) { e.users.add(e.print(user.EmailKey(email)), key) }

// Taken reports whether a user has the address.
func (e *Emails) Taken(v *commit.View, email string) (bool, error) {
	_, taken, err := e.owner(v, email)
	return taken, err
}

// owner gives the user who has the address; false when nobody has.
func (e *Emails) owner(v *commit.View, email string) (user.User, bool, error) {
	wanted := user.EmailKey(email)
	for _, key := range e.users.under(e.print(wanted)) {
		u, err := v.UserByKey(key)
		if errors.Is(err, user.ErrNotFound) {
			continue
		}
		if err != nil {
			return user.User{}, false, err
		}
		if user.EmailKey(u.Email) == wanted {
			return u, true, nil
		}
	}
	return user.User{}, false, nil
}

// Add takes the address for the user with a log key, unless the transaction of v fails.
func (e *Emails) Add(v *commit.View, email string, key uint64) {
	fp := e.print(user.EmailKey(email))
	e.users.add(fp, key)
	v.OnRollback(func() { e.users.remove(fp, key) })
}
