package bolt

import (
	"bytes"

	bolt "go.etcd.io/bbolt"

	"handoff/services/api/internal/user"
)

// UsersAfter gives up to limit users in the order of their log keys, from the first one after a key.
func (s *Store) UsersAfter(after uint64, limit int) ([]user.User, error) {
	var found []user.User
	err := s.db.View(func(tx *bolt.Tx) error {
		c := bucket(tx, bucketUsers).Cursor()
		for k, v := c.Seek(key(after + 1)); k != nil && len(found) < limit; k, v = c.Next() {
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

// EachEmail calls f with the log key and the address of every user, the oldest first. It is for the start, which waits for it: a user's
// row is not decoded for one field of it.
func (s *Store) EachEmail(f func(key uint64, email string)) error {
	return s.db.View(func(tx *bolt.Tx) error {
		return bucket(tx, bucketUsers).ForEach(func(k, v []byte) error {
			email, ok := findEmail(v)
			if !ok {
				var u user.User
				if err := decode(v, "a user", &u); err != nil {
					return err
				}
				email = u.Email
			}
			f(number(k), email)
			return nil
		})
	})
}

// findEmail gives the address in a user's row, unless it takes decoding. Inside of a string every quote has a backslash before it, so what is
// looked for can only be the field.
func findEmail(row []byte) (string, bool) {
	_, rest, ok := bytes.Cut(row, []byte(`"email":"`))
	end := bytes.IndexByte(rest, '"')
	if !ok || end < 0 || bytes.IndexByte(rest[:end], '\\') >= 0 {
		return "", false
	}
	return string(rest[:end]), true
}
