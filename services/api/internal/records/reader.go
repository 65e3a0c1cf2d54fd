package records

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/user"
	"handoff/shared/event"
	"handoff/shared/stream"
)

const (
	patience    = 5 * time.Second // for one answer
	minPause    = 50 * time.Millisecond
	maxPause    = 5 * time.Second
	maxMessages = 32 // are read at once: some megabytes
	idle        = 30 * time.Second
)

// A Committer runs a function in the store's next transaction.
type Committer interface {
	Do(f func(*commit.View) error) error
}

// A Gate before each stream is closed from every connect until the stream has been looked after.
type Gate interface {
	// Passed reports whether a stream may be published to, and gives a channel that is closed when that changes.
	Passed(stream string) (bool, <-chan struct{})
	// Reads reports whether a stream may be read, and gives a channel that is closed when that changes.
	Reads(stream string) (bool, <-chan struct{})
	// Check asks for the streams to be looked after soon.
	Check()
}

// Emails knows which addresses are taken.
type Emails interface {
	Taken(v *commit.View, email string) (bool, error)
	Add(v *commit.View, email string, key uint64)
}

// Reader adds the users in RECORDS to a store that does not know them. Make it with [NewReader] and [Reader.Run] it.
type Reader struct {
	writer Committer
	emails Emails
	gate   Gate
	js     jetstream.JetStream
	log    *slog.Logger
	done   chan struct{}
}

// NewReader makes a reader. A store that has met its NATS knows its users, and there is nothing to be read for it.
func NewReader(met bool, w Committer, emails Emails, gate Gate, js jetstream.JetStream, log *slog.Logger) *Reader {
	r := &Reader{writer: w, emails: emails, gate: gate, js: js, log: log.With("stream", stream.Records), done: make(chan struct{})}
	if met {
		close(r.done)
	}
	return r
}

// Done gives a channel that is closed when the store knows every user in RECORDS.
func (r *Reader) Done() <-chan struct{} { return r.done }

// Gate is the gate behind which whoever reads other streams for the store waits: it stays closed until the facts have been read,
// because a fact wins over an event.
func (r *Reader) Gate() Gate { return facts{r} }

// facts is a gate behind another.
type facts struct{ r *Reader }

func (f facts) Check() { f.r.gate.Check() }

func (f facts) Passed(name string) (bool, <-chan struct{}) { return f.after(f.r.gate.Passed, name) }

func (f facts) Reads(name string) (bool, <-chan struct{}) { return f.after(f.r.gate.Reads, name) }

func (f facts) after(open func(string) (bool, <-chan struct{}), name string) (bool, <-chan struct{}) {
	select {
	case <-f.r.done:
		return open(name)
	default:
		return false, f.r.done
	}
}

// Run reads, until that is done or ctx ends.
func (r *Reader) Run(ctx context.Context) {
	select {
	case <-r.done:
		return
	default:
	}
	var said string
	err := whenOpen(ctx, r.gate, r.gate.Reads, func(ctx context.Context, _ <-chan struct{}) error {
		err := r.read(ctx)
		if err == nil {
			return errDone
		}
		if said != err.Error() {
			said = err.Error()
			r.log.Warn("Users can't be read from RECORDS yet", "error", err)
		}
		return err
	})
	if errors.Is(err, errDone) {
		close(r.done)
	}
}

var (
	errDone    = errors.New("done")
	errSkipped = errors.New("a message was skipped")
	errNothing = errors.New("nothing comes")
)

// whenOpen calls f while the gate before RECORDS is open, again after a pause when it fails and at once when it doesn't, until ctx
// ends or f returns errDone.
func whenOpen(
	ctx context.Context, gate Gate, passed func(string) (bool, <-chan struct{}), f func(ctx context.Context, changed <-chan struct{}) error,
) error {
	var pause time.Duration
	for ctx.Err() == nil {
		open, changed := passed(stream.Records)
		if !open {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		began := time.Now()
		err := f(ctx, changed)
		if errors.Is(err, errDone) {
			return err
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		gate.Check()
		if time.Since(began) > maxPause {
			pause = 0
		}
		pause = min(max(2*pause, minPause), maxPause)
		select {
		case <-time.After(pause):
		case <-changed:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// read adds every user in RECORDS that the store does not know. It may be called again.
func (r *Reader) read(ctx context.Context) error {
	cons, err := r.consumer(ctx)
	if err != nil {
		return err
	}
	left, expected, added := cons.CachedInfo().NumPending, uint64(1), 0
	for left > 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		batch, err := cons.Fetch(int(min(maxMessages, left)), jetstream.FetchMaxWait(patience))
		if err != nil {
			return fmt.Errorf("read RECORDS: %w", err)
		}
		before := expected
		for m := range batch.Messages() {
			md, err := m.Metadata()
			if err != nil || md.Sequence.Consumer != expected {
				return fmt.Errorf("read RECORDS: %w", errors.Join(errSkipped, err, batch.Error()))
			}
			n, err := r.take(m, md.Sequence.Stream)
			if err != nil {
				return err
			}
			added += n
			expected++
			left = md.NumPending
		}
		if expected == before {
			return fmt.Errorf("read RECORDS: %w", errors.Join(errNothing, batch.Error()))
		}
	}
	r.log.Info("Users have been read from RECORDS", "messages", expected-1, "users", added)
	return nil
}

func (r *Reader) consumer(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cons, err := r.js.CreateConsumer(ctx, stream.Records, jetstream.ConsumerConfig{
		Name: "api-" + nuid.Next(), Description: "an api that has lost its store", FilterSubject: stream.RecordUsers, AckPolicy: jetstream.AckNonePolicy,
		DeliverPolicy: jetstream.DeliverAllPolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: idle,
	})
	if err != nil {
		return nil, fmt.Errorf("make a reader of RECORDS: %w", err)
	}
	return cons, nil
}

// take adds the users of one message, and says how many were new.
func (r *Reader) take(m jetstream.Msg, sequence uint64) (added int, err error) {
	message, err := event.DecodeUserFacts(m.Data())
	if err != nil {
		r.log.Error("Message in RECORDS can't be read: its users are lost", "sequence", sequence, "error", err)
		return 0, nil
	}
	err = r.writer.Do(func(v *commit.View) error {
		added = 0
		for i := range message.Users {
			isNew, err := r.add(v, &message.Users[i])
			if err != nil {
				return err
			}
			if isNew {
				added++
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("keep what was read from RECORDS: %w", err)
	}
	return added, nil
}

// add adds one user under the log key that it had, unless it is known.
func (r *Reader) add(v *commit.View, f *event.UserFact) (isNew bool, err error) {
	if err := f.Validate(); err != nil {
		r.log.Error("User in RECORDS can't be read", "user", f.ID, "error", err)
		return false, nil
	}
	v.RaiseKey(f.Key)
	if _, err := v.User(f.ID); !errors.Is(err, user.ErrNotFound) {
		return false, err
	}
	taken, err := r.emails.Taken(v, f.Email)
	if err != nil {
		return false, err
	}
	if taken {
		r.log.Warn("User in RECORDS has an e-mail address that another user has", "user", f.ID)
		return false, nil
	}
	u := user.User{ID: f.ID, Key: f.Key, Email: f.Email, Username: f.Username, Created: f.Created, JobID: f.JobID}
	switch _, err := v.UserByKey(u.Key); {
	case err == nil: // an old copy of the store, which has given out the same keys again
		u.Key = v.NextKey()
	case !errors.Is(err, user.ErrNotFound):
		return false, err
	}
	v.AddUser(u)
	r.emails.Add(v, u.Email, u.Key)
	return true, nil
}
