package accept

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// A Writer runs a function in the store's next transaction.
type Writer interface {
	Do(f func(*commit.View) error) error
}

// A Backlog knows how much of a stream's accepts waits to be published.
type Backlog interface {
	// Full says why no more should be accepted for a stream; empty when more may be.
	Full(stream string) string
}

// Accepter accepts. Make it with [New].
type Accepter struct {
	writer  Writer
	backlog Backlog
	emails  *Emails
	keys    *Keys
	flights flights
	now     func() time.Time
	roster  Roster
	met     atomic.Bool
	lease   Lease // nil: never refuses

	schedule Schedule // nil: never full
}

// New makes an accepter. emails must hold every user in the store, and keys every request that came with an Idempotency-Key; the
// writer must tell keys of what it has written. It refuses everything until [Accepter.Open].
func New(w Writer, b Backlog, emails *Emails, keys *Keys, now func() time.Time) *Accepter {
	return &Accepter{writer: w, backlog: b, emails: emails, keys: keys, flights: flights{hashes: map[commit.Sum]struct{}{}}, now: now}
}

// Open lets accepts in: the store and its NATS have met, so that what either knew is known.
func (a *Accepter) Open() { a.met.Store(true) }

// Register accepts a new user and the job that follows from it; notify asks for a notice beside the welcome mail. The same request
// with the same key gives the user that it made before. The error is [user.ErrTaken] when the address is registered, or one of
// this package.
func (a *Accepter) Register(_ context.Context, key Key, email, username string, notify bool, options ...Option) (user.User, error) {
	now := a.now().UTC()
	ids, err := newIDs(2)
	if err != nil {
		return user.User{}, err
	}
	u := user.User{ID: ids[0], JobID: ids[1], Email: email, Username: username, Created: now}
	services := []string{"mailer"}
	if notify {
		services = append(services, "notifier")
	}
	p, err := a.prepare(u.JobID, now, key, event.UserCreatedData{UserID: u.ID, Email: email, Username: username}, services, options)
	if err != nil {
		return user.User{}, err
	}
	err = a.write(key, func(v *commit.View) error {
		before, err := a.earlier(v, key, now)
		if err != nil {
			return err
		}
		owner, taken, err := a.emails.owner(v, email)
		switch {
		case err != nil:
			return err
		case taken && before != nil && owner.JobID == before.ID:
			u = owner
			return nil
		case taken:
			return user.ErrTaken
		}
		if err := a.roomForUser(); err != nil {
			return err
		}
		j, err := p.write(v)
		if err != nil {
			return err
		}
		u.Key = j.Key
		v.AddUser(u)
		a.emails.Add(v, email, u.Key)
		return nil
	})
	if err != nil {
		return user.User{}, err
	}
	return u, nil
}

// Request accepts a job for an event with payload p, for whoever does such work. The same request with the same key gives the job that
// it made before, as it stands now.
func (a *Accepter) Request(_ context.Context, key Key, p event.Payload, options ...Option) (*job.Job, error) {
	ids, err := newIDs(1)
	if err != nil {
		return nil, err
	}
	now := a.now().UTC()
	prepared, err := a.prepare(ids[0], now, key, p, stream.AskedBy(string(p.EventType())), options)
	if err != nil {
		return nil, err
	}
	var j *job.Job
	err = a.write(key, func(v *commit.View) (err error) {
		if j, err = a.earlier(v, key, now); j == nil && err == nil {
			j, err = prepared.write(v)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return j, nil
}

// write runs f in the store's next transaction, unless another request with the key is under way.
func (a *Accepter) write(key Key, f func(*commit.View) error) error {
	if !key.none() {
		if !a.flights.begin(key) {
			return ErrInFlight
		}
		defer a.flights.end(key)
	}
	return explain(a.writer.Do(f))
}

// prepared is an accept before it has its place in the log.
type prepared struct {
	env      *event.Envelope
	services []string
	row      commit.Accept
	full     error // why it may not be added to the log; it may still be known from before
}

// prepare does outside the transaction all that can be done there. Only the transaction can tell whether a request with a key is known,
// and so gets an answer while nothing new is accepted.
func (a *Accepter) prepare(id string, now time.Time, key Key, p event.Payload, services []string, options []Option) (*prepared, error) {
	name := stream.ForType(p.EventType())
	if err := a.refused(); err != nil {
		return nil, err
	}
	env, err := event.New(id, now, p, services...)
	if err != nil {
		return nil, err
	}
	for _, o := range options {
		o(env)
	}
	later := env.Due != nil && env.Due.After(now)
	if why := a.full(name, later); why != "" {
		full := &UnavailableError{Reason: why, RetryAfter: 5 * time.Second}
		if key.none() {
			return nil, full
		}
		return &prepared{full: full}, nil
	}
	key.sign(env)
	data, err := env.Encode()
	if err != nil {
		return nil, err
	}
	if len(data) > event.MaxEvent {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are possible", ErrTooLarge, len(data), event.MaxEvent)
	}
	subject := stream.Subject(env.Type, services)
	if later {
		subject = stream.LaterSubject(env.Type)
	}
	return &prepared{env: env, services: services, row: commit.Accept{Stream: name, Subject: subject, Job: id, Data: data}}, nil
}

// full says why no more is accepted for a stream; later is whether it is to wait.
func (a *Accepter) full(name string, later bool) string {
	if why := a.backlog.Full(name); why != "" || !later || a.schedule == nil {
		return why
	}
	return a.schedule.Full(name)
}

func (p *prepared) write(v *commit.View) (*job.Job, error) {
	if p.full != nil {
		return nil, p.full
	}
	row := p.row
	row.Key = v.NextKey()
	j := job.New(p.env, row.Stream, row.Key, p.services)
	if j.Waits = stream.IsLater(row.Subject); j.Waits {
		j.Size = len(row.Data)
	}
	v.Accept(row, j)
	v.AddKeyed(p.env, j.Key, p.env.Time)
	return j, nil
}

func newIDs(n int) ([]string, error) {
	ids := make([]string, n)
	for i := range ids {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make an id: %w", err)
		}
		ids[i] = id.String()
	}
	return ids, nil
}

func explain(err error) error {
	switch {
	case errors.Is(err, commit.ErrStopped):
		return &UnavailableError{Reason: "the server is stopping", RetryAfter: 2 * time.Second}
	case errors.Is(err, commit.ErrNoSpace):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, commit.ErrNotWritten):
		return &UnavailableError{Reason: "the disk does not take it", RetryAfter: 5 * time.Second}
	}
	return err
}
