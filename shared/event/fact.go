package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// MaxFacts is how large a message of user facts may be.
const MaxFacts = 256 << 10

// MaxFactKey is the highest log key that a fact may have: far above every real one, and low enough to count on from it.
const MaxFactKey = 1 << 62

// A UserFact is what is known of a user, for an api that has lost its store.
type UserFact struct {
	ID       string    `json:"id"`
	Key      uint64    `json:"key"` // the user's log key
	Email    string    `json:"email"`
	Username string    `json:"username"`
	Created  time.Time `json:"created"`
	JobID    string    `json:"job_id,omitempty"` // the job that the registration began
}

// Validate says whether a fact holds what it takes to know the user again.
func (f *UserFact) Validate() error {
	switch {
	case !ValidID(f.ID):
		return fmt.Errorf("id %.80q is not %s", f.ID, idForm)
	case f.Key == 0 || f.Key > MaxFactKey:
		return fmt.Errorf("key %d is not one of the log", f.Key)
	case f.Email == "":
		return errors.New("email is missing")
	case f.JobID != "" && !ValidID(f.JobID):
		return fmt.Errorf("job_id %.80q is not %s", f.JobID, idForm)
	}
	return nil
}

// UserFacts is one message of them.
type UserFacts struct {
	Users []UserFact `json:"users"`
}

// Encode gives the bytes of f as they are published.
func (f *UserFacts) Encode() ([]byte, error) {
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode user facts: %w", err)
	}
	return b, nil
}

// PackUserFacts encodes as many of facts as fit into limit bytes, in order, and says how many. None when the first is larger than
// that alone.
func PackUserFacts(facts []UserFact, limit int) (data []byte, n int, err error) {
	const begin, end = `{"users":[`, `]}`
	data = append(data, begin...)
	for ; n < len(facts); n++ {
		one, err := json.Marshal(&facts[n])
		if err != nil {
			return nil, 0, fmt.Errorf("encode the fact of user %s: %w", facts[n].ID, err)
		}
		if len(data)+len(one)+len(`,`+end) > limit {
			break
		}
		if n > 0 {
			data = append(data, ',')
		}
		data = append(data, one...)
	}
	return append(data, end...), n, nil
}

// DecodeUserFacts reads one message of user facts. Each of them is still to be validated: one that is wrong spoils no other.
func DecodeUserFacts(b []byte) (*UserFacts, error) {
	var f UserFacts
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("decode user facts: %w", err)
	}
	return &f, nil
}
