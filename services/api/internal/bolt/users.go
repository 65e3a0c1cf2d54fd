package bolt

import (
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
