package projection

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// events says what the messages of one work stream change.
type events struct {
	stream string
	emails Emails
	log    *slog.Logger
}

func (e *events) apply(v *commit.View, created time.Time, batch []message) error {
	for i := range batch {
		if err := e.read(v, created, &batch[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *events) read(v *commit.View, created time.Time, m *message) error {
	id, rest, _ := strings.Cut(m.Headers().Get(jetstream.MsgIDHeader), ".")
	v.RaiseKey(logKey(rest))
	if event.ValidID(id) {
		known, err := e.asked(v, id, m)
		if known || err != nil {
			return err
		}
	}
	env, err := event.Decode(m.Data())
	if err != nil {
		return e.refuse(v, created, m, err.Error())
	}
	known, err := e.asked(v, env.ID, m)
	if known || err != nil {
		return err
	}
	services := env.Services()
	switch {
	case services != nil:
	case stream.IsLater(m.Subject()):
		services = stream.AskedBy(string(env.Type))
	default:
		services = stream.AskedBy(m.Subject())
	}
	if len(services) == 0 {
		return e.refuse(v, created, m, "the event names no service, and its subject asks none")
	}
	return e.adopt(v, env, services, m)
}

// logKey is the log key at the end of the Nats-Msg-Id of an entry, which follows the job's id; 0 when there is none. The file that gave
// it out may be lost, and no id may be used twice.
func logKey(rest string) uint64 {
	_, digits, _ := strings.Cut(rest, ".")
	k, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || k > event.MaxFactKey {
		return 0
	}
	return k
}

// asked notes that a known job's tasks are asked for by m; false when the job is not known.
func (e *events) asked(v *commit.View, id string, m *message) (known bool, err error) {
	j, err := v.Job(id)
	if errors.Is(err, job.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	waits := stream.IsLater(m.Subject())
	if waits && !j.Waits {
		return true, nil // it is due by now, and something newer asks for it
	}
	if j.Waits && !waits {
		if j, err = v.Edit(id); err != nil {
			return false, err
		}
		j.Waits = false
	}
	only, generation := askedAgain(m), generationOf(m)
	for i := range j.Tasks {
		if only != "" && j.Tasks[i].Service != only {
			continue
		}
		if t, news := job.Asked(j.Tasks[i], m.seq, generation); !news && t.Entry != 0 {
			continue
		}
		if j, err = v.Edit(id); err != nil {
			return false, err
		}
		t := &j.Tasks[i]
		if *t, _ = job.Asked(*t, m.seq, generation); t.Entry == 0 {
			t.Entry = j.Key
		}
	}
	return true, nil
}

func generationOf(m *message) int {
	n, _ := strconv.Atoi(m.Headers().Get(stream.HeaderGeneration)) // absent is 0
	return max(n, 0)
}

// askedAgain names the one service that m asks again; empty when it asks all that its event asks for.
func askedAgain(m *message) string {
	if !strings.HasPrefix(m.Subject(), "retry.") {
		return ""
	}
	return stream.AskedBy(m.Subject())[0]
}

// adopt makes a job of an event that the store does not know: somebody published it by hand, or the store is newer than it.
func (e *events) adopt(v *commit.View, env *event.Envelope, services []string, m *message) error {
	orphans, err := v.Adopt(env.ID)
	if err != nil {
		return err
	}
	key := v.NextKey()
	j := job.New(env, e.stream, key, services)
	row := commit.Accept{Key: key, Stream: e.stream, Subject: stream.Subject(env.Type, services), Job: env.ID, Data: m.Data(), Read: true}
	if j.Waits = stream.IsLater(m.Subject()); j.Waits {
		j.Size = len(row.Data)
		if j.Due == nil { // made by hand, without a time
			j.Due = &m.at
		}
	}
	v.Accept(row, j)
	came := env.Time
	if came.After(m.at) { // made by hand, with whatever time
		came = m.at
	}
	if m.at.Sub(came) < commit.KeyLife {
		v.AddKeyed(env, key, came)
	}
	only, generation := askedAgain(m), generationOf(m)
	for i := range j.Tasks {
		t := &j.Tasks[i]
		if only == "" || t.Service == only {
			*t, _ = job.Asked(*t, m.seq, generation)
		} else {
			t.Entry = 0 // a message for it may follow, or it has ended
		}
		for k := range orphans {
			if orphans[k].Service == t.Service {
				*t, _ = job.Fold(*t, orphans[k].Seen)
			}
		}
		if t.State == event.Dead {
			AddDeadLetter(v, j, t, row.Data)
		}
	}
	if env.Type == event.UserCreated {
		return e.addUser(v, env, key)
	}
	return nil
}

// addUser adds the user that an event tells of, unless the address is taken: the first wins.
func (e *events) addUser(v *commit.View, env *event.Envelope, key uint64) error {
	data, err := event.DecodeData[event.UserCreatedData](env)
	if err != nil {
		return nil //nolint:nilerr // the mailer records it as dead; there is no user to add
	}
	if _, err = v.User(data.UserID); !errors.Is(err, user.ErrNotFound) {
		return err // a fact from RECORDS was read before
	}
	taken, err := e.emails.Taken(v, data.Email)
	if err != nil {
		return err
	}
	if taken {
		e.log.Warn("Event is about an e-mail address that another user has", "job", env.ID)
		return nil
	}
	v.AddUser(user.User{ID: data.UserID, Key: key, Email: data.Email, Username: data.Username, Created: env.Time, JobID: env.ID})
	e.emails.Add(v, data.Email, key)
	return nil
}

// refuse copies to DEAD what nobody can read, once.
func (e *events) refuse(v *commit.View, created time.Time, m *message, why string) error {
	if !m.news {
		return nil
	}
	e.log.Warn("Message is no event of ours", "subject", m.Subject(), "sequence", m.seq, "error", why)
	v.AddEntry(commit.Entry{
		Stream: stream.Dead, Subject: stream.DeadSubject("api", m.Subject()),
		MsgID:  fmt.Sprintf("%s-%d-%d.dead", e.stream, created.UnixMicro(), m.seq),
		Header: deadHeader(0, why), Data: m.Data(),
	})
	return nil
}
