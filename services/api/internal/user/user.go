// Package user is what the api knows of the people who register: one [User] for each e-mail address.
package user

import (
	"errors"
	"strings"
	"time"
)

// ErrNotFound is returned for a user that is not known.
var ErrNotFound = errors.New("no such user")

// ErrTaken is returned when another user has the e-mail address.
var ErrTaken = errors.New("e-mail address already registered")

// A User is somebody who has registered.
type User struct {
	ID       string    `json:"id"`
	Key      uint64    `json:"key"` // in the log; users are listed by it, oldest first
	Email    string    `json:"email"`
	Username string    `json:"username"`
	Created  time.Time `json:"created"`
	JobID    string    `json:"job_id"` // the job that the registration began
}

// EmailKey is what must be unique: the address without regard to case, since mailboxes that differ in case only are one
// mailbox nearly everywhere.
func EmailKey(email string) string { return strings.ToLower(strings.TrimSpace(email)) }
