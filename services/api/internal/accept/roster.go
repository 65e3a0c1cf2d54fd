package accept

import "fmt"

// A Roster keeps a second copy of the users, so that they are known again.
type Roster interface {
	// UsersFull says why no more users should be accepted; empty when more may be.
	UsersFull() string
}

// LimitUsers has new users refused with [ErrNoSpace] while the roster is full. It is called before [Accepter.Open].
func (a *Accepter) LimitUsers(r Roster) { a.roster = r }

func (a *Accepter) roomForUser() error {
	if a.roster == nil {
		return nil
	}
	if why := a.roster.UsersFull(); why != "" {
		return fmt.Errorf("%w: %s", ErrNoSpace, why)
	}
	return nil
}
