package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// perCommit is how many jobs one transaction adds.
const perCommit = 10_000

// age is how long ago what is added was accepted: long enough for nobody to wait for it, too short for it to leave.
const age = time.Hour

func main() {
	path := flag.String("path", "", "the file; made if it is missing")
	ended := flag.Int("ended", 0, "how many users are added, each with a job that has ended")
	unrelayed := flag.Int("unrelayed", 0, "how many jobs are added of which NATS has not been told")
	flag.Parse()
	if *path == "" || *ended < 0 || *unrelayed < 0 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := fill(*path, *ended, *unrelayed, time.Now().Add(-age).UTC()); err != nil {
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(1)
	}
}

// fill adds to the file at path.
func fill(path string, ended, unrelayed int, at time.Time) (err error) {
	store, err := bolt.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	last, err := store.LastKey()
	if err != nil {
		return err
	}
	f := &filler{store: store, last: last, at: at}
	if err := f.add(ended, f.welcomed); err != nil {
		return err
	}
	// What has ended has been published: the relay begins behind it.
	if ended > 0 {
		if err := store.Commit(&commit.Changes{Positions: map[string]uint64{stream.Users: f.last}, Met: true}); err != nil {
			return err
		}
	}
	return f.add(unrelayed, f.waiting)
}

type filler struct {
	store *bolt.Store
	last  uint64
	at    time.Time
}

// add writes n jobs, each made by one.
func (f *filler) add(n int, one func(*commit.Changes) error) error {
	for n > 0 {
		c := &commit.Changes{Jobs: map[string]*job.Job{}}
		for range min(n, perCommit) {
			if err := one(c); err != nil {
				return err
			}
		}
		c.LastKey = f.last
		if err := f.store.Commit(c); err != nil {
			return err
		}
		n -= min(n, perCommit)
	}
	return nil
}

// welcomed adds a user whose job has ended and left its stream.
func (f *filler) welcomed(c *commit.Changes) error {
	j, err := f.waitingUser(c)
	if err != nil {
		return err
	}
	begun, end := f.at.Add(2*time.Millisecond), f.at.Add(4*time.Millisecond)
	t := &j.Tasks[0]
	t.State, t.Claim, t.Attempt, t.Started, t.Ended, t.Touched = event.Succeeded, 1, 1, &begun, &end, end
	t.Message, t.Revision = 1, 2
	t.Result = json.RawMessage(`{"file":"mail/` + j.ID + `.eml","message_id":"<` + j.ID + `.mailer@handoff>"}`)
	t.Steps = []event.Step{{Attempt: 1, State: event.Running, At: begun}, {Attempt: 1, State: event.Succeeded, At: end}}
	c.Settled = append(c.Settled, j.Key)
	return nil
}

func (f *filler) waiting(c *commit.Changes) error {
	_, err := f.waitingUser(c)
	return err
}

// waitingUser adds a user as an accept does.
func (f *filler) waitingUser(c *commit.Changes) (*job.Job, error) {
	ids := [2]string{}
	for i := range ids {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, err
		}
		ids[i] = id.String()
	}
	f.last++
	u := user.User{ID: ids[0], Key: f.last, Email: fmt.Sprintf("user%d@fill.example.com", f.last), Username: "testuser", Created: f.at, JobID: ids[1]}
	env, err := event.New(u.JobID, f.at, event.UserCreatedData{UserID: u.ID, Email: u.Email, Username: u.Username}, "mailer")
	if err != nil {
		return nil, err
	}
	data, err := env.Encode()
	if err != nil {
		return nil, err
	}
	services := []string{"mailer"}
	j := job.New(env, stream.Users, u.Key, services)
	c.Users = append(c.Users, u)
	c.Accepts = append(c.Accepts, commit.Accept{Key: u.Key, Stream: j.Stream, Subject: stream.Subject(env.Type, services), Job: j.ID, Data: data})
	c.Jobs[j.ID] = j
	return j, nil
}
