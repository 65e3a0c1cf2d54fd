package records

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/user"
	"handoff/shared/event"
	"handoff/shared/stream"
)

const (
	maxRows = 2000 // are read from the store at once: more than fit into a message
	// overhead is about what a message takes in a stream beside its body.
	overhead = 200
)

// Server errors.
const (
	codeFull          = 10077 // the stream has no room
	codeWrongSequence = 10071 // the last sequence is not the one that was expected
)

// errNotAsKnown means that somebody else has changed RECORDS, which is looked at again.
var errNotAsKnown = errors.New("RECORDS is not as it was known")

// writeAll writes every user who is not in RECORDS.
func (w *Writer) writeAll(ctx context.Context) error {
	for ctx.Err() == nil {
		users, err := w.store.UsersAfter(w.key, maxRows)
		if err != nil {
			return err
		}
		if len(users) == 0 {
			w.atEnd()
			return nil
		}
		facts := make([]event.UserFact, len(users))
		for i, u := range users {
			facts[i] = event.UserFact{ID: u.ID, Key: u.Key, Email: u.Email, Username: u.Username, Created: u.Created, JobID: u.JobID}
		}
		for len(facts) > 0 && ctx.Err() == nil {
			data, n, err := event.PackUserFacts(facts, w.messageLimit())
			if err != nil {
				return err
			}
			if n == 0 { // made by hand: no accept takes a name of that size
				w.log.Error("User is too large for RECORDS, and will not be known again", "user", facts[0].ID)
				w.key, n = facts[0].Key, 1
			} else if err := w.write(ctx, facts[:n], data); err != nil {
				return err
			}
			facts = facts[n:]
		}
	}
	return nil
}

// messageLimit keeps a message small against what nearly full means, where the stream is small.
func (w *Writer) messageLimit() int {
	return int(min(event.MaxFacts, max(w.limit/40, event.MaxFacts/8)))
}

// atEnd notes that the copy holds every user.
func (w *Writer) atEnd() {
	if w.whole.IsZero() {
		w.whole = time.Now()
	}
	w.moved(max(w.key, w.Position()), false)
	w.setLost(false)
}

// write publishes facts in one message. Its sequence must be the next one: so a stream that is not the one that was looked at
// refuses it, and so does one that holds a message of somebody else's.
func (w *Writer) write(ctx context.Context, facts []event.UserFact, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	first, last := facts[0].Key, facts[len(facts)-1].Key
	m := nats.NewMsg(stream.RecordUsers)
	m.Data = data
	m.Header.Set("Content-Type", "application/json")
	m.Header.Set(jetstream.MsgIDHeader, messageID(first, last, w.replaces))
	m.Header.Set(stream.HeaderLastKey, strconv.FormatUint(last, 10))
	m.Header.Set(stream.HeaderReplaces, strconv.FormatUint(w.replaces, 10))
	ack, err := w.js.PublishMsg(ctx, m, jetstream.WithExpectStream(stream.Records), jetstream.WithExpectLastSequence(w.last))
	switch {
	case refusedWith(err, codeWrongSequence):
		return errNotAsKnown
	case refusedWith(err, codeFull):
		return w.refused(ctx, err)
	case err != nil:
		return fmt.Errorf("publish users to RECORDS: %w", err)
	case ack.Sequence != w.last+1:
		return errNotAsKnown
	}
	w.last, w.key = ack.Sequence, last
	w.bytes += uint64(len(data)) + overhead
	if position := w.Position(); last > position {
		w.moved(last, false)
	}
	w.setFull(room{bytes: w.bytes, limit: w.limit}.nearlyFull() && !w.old)
	return nil
}

// messageID names a message. The server may remember the ids of a copy that is written anew, so that copy's are others.
func messageID(first, last, replaces uint64) string {
	id := fmt.Sprintf("users.%d-%d", first, last)
	if replaces > 0 {
		id += "." + strconv.FormatUint(replaces, 10)
	}
	return id
}

// refused makes room when there is any to be made: an older copy goes before the new one is whole. The store has all of it.
func (w *Writer) refused(ctx context.Context, why error) error {
	if !w.old {
		w.setFull(true)
		return fmt.Errorf("publish users to RECORDS: %w", why)
	}
	w.log.Warn("RECORDS has no room for two copies: the old one goes first")
	w.setLost(true)
	w.moved(w.key, true)
	return w.purge(ctx)
}

// purge removes what the copy replaces.
func (w *Writer) purge(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := w.js.Stream(ctx, stream.Records)
	if err != nil {
		return fmt.Errorf("purge RECORDS: %w", err)
	}
	if !s.CachedInfo().Created.Equal(w.created) {
		return errNotAsKnown
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(w.replaces+1)); err != nil {
		return fmt.Errorf("purge RECORDS: %w", err)
	}
	w.log.Info("Old facts have been purged from RECORDS", "up_to", w.replaces)
	return errNotAsKnown // nothing is amiss, and its size has to be asked for
}

// living is about what the users that there are would take in RECORDS.
func (w *Writer) living() (bytes uint64, err error) {
	const each = len(`{"id":"","key":1773501026123456,"email":"","username":"","created":"2026-03-14T15:09:26.123456789Z","job_id":""},`)
	err = w.store.EachUser(func(u user.User) {
		bytes += uint64(each + len(u.ID) + len(u.Email) + len(u.Username) + len(u.JobID))
	})
	return bytes, err
}

func refusedWith(err error, code jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == code
}
