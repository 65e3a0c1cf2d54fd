package commit

import "handoff/services/api/internal/user"

// User gives the user with an id.
func (v *View) User(id string) (user.User, error) {
	for i := range v.ch.Users {
		if v.ch.Users[i].ID == id {
			return v.ch.Users[i], nil
		}
	}
	return v.c.store.User(id)
}

// RaiseKey has log keys go on above k, which was found in NATS.
func (v *View) RaiseKey(k uint64) {
	if k > v.ch.LastKey {
		v.ch.LastKey, v.ch.Raised = k, true
	}
}
