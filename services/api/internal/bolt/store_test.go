package bolt_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
	"handoff/shared/event"
)

func open(t *testing.T, path string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newStore(t *testing.T) *bolt.Store { return open(t, filepath.Join(t.TempDir(), "data", "api.db")) }

func put(t *testing.T, s *bolt.Store, c *commit.Changes) {
	t.Helper()
	if err := s.Commit(c); err != nil {
		t.Fatal(err)
	}
}

func made() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC) }

// newJob is job n of several kinds; its log key is n+1.
func newJob(n int) (*job.Job, commit.Accept) {
	j := &job.Job{
		ID: fmt.Sprintf("j%03d", n), Type: event.UserCreated, Key: uint64(n + 1), Stream: "USERS", Created: made(),
		Tasks: []job.Task{{Service: "mailer", State: []job.State{event.Queued, event.Succeeded, event.Dead}[n%3]}},
	}
	if n%2 == 1 {
		j.Type, j.Stream, j.Tasks[0].Service = event.ImageRequested, "IMAGES", "imager"
	}
	return j, commit.Accept{
		Key: j.Key, Stream: j.Stream, Subject: string(j.Type), Job: j.ID, Data: []byte(`{"n":"` + j.ID + "\x00\"}"), Read: n%5 == 0,
	}
}

func fill(t *testing.T, s *bolt.Store, n int) {
	t.Helper()
	c := &commit.Changes{Jobs: map[string]*job.Job{}}
	for i := range n {
		j, a := newJob(i)
		c.Jobs[j.ID] = j
		c.Accepts = append(c.Accepts, a)
		c.Users = append(c.Users, user.User{
			ID: fmt.Sprintf("u%03d", i), Key: j.Key, Email: "A@example.org", Username: "a", Created: made(), JobID: j.ID,
		})
		c.LastKey = j.Key
	}
	put(t, s, c)
}

func equal(t *testing.T, what string, got, want any, err error) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v (%v), want %+v", what, got, err, want)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if _, err := s.Job("j001"); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("of an empty store: %v", err)
	}
	fill(t, s, 20)
	want, _ := newJob(3)
	got, err := s.Job("j003")
	equal(t, "a job", got, want, err)

	for _, c := range []struct {
		q    job.Query
		want string
	}{
		{job.Query{Limit: 3}, "j019 j018 j017"},
		{job.Query{Limit: 3, After: "j017"}, "j016 j015 j014"},
		{job.Query{Limit: 3, After: "j001"}, "j000"},
		{job.Query{Limit: 3, After: "j000"}, ""},
		{job.Query{Limit: 2, State: event.Dead}, "j017 j014"},
		{job.Query{Limit: 9, State: event.Dead, Type: event.ImageRequested}, "j017 j011 j005"},
		{job.Query{Limit: 2, Service: "mailer", After: "j010"}, "j008 j006"},
		{job.Query{Limit: 2, Service: "tasker"}, ""},
		{job.Query{}, ""},
	} {
		found, err := s.Jobs(c.q)
		var ids []string
		for _, j := range found {
			ids = append(ids, j.ID)
		}
		if got := strings.Join(ids, " "); err != nil || got != c.want {
			t.Errorf("%+v: got %q (%v), want %q", c.q, got, err, c.want)
		}
	}
	if _, err := s.Jobs(job.Query{Limit: 3, After: "none"}); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("after a job that is not there: %v", err)
	}

	changed := *want
	changed.Tasks = []job.Task{{Service: "imager", State: event.Succeeded, Message: 9}}
	put(t, s, &commit.Changes{Jobs: map[string]*job.Job{changed.ID: &changed}})
	got, err = s.Job("j003")
	equal(t, "a job that was changed", got, &changed, err)
	size, err := s.Size()
	if err != nil || size.Jobs != 20 || size.Users != 20 || size.Bytes == 0 {
		t.Errorf("the size is %+v (%v), want 20 jobs and users", size, err)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first, err := s.Users("", 5)
	equal(t, "users of an empty store", first, []user.User{}, err)
	fill(t, s, 10)
	want := user.User{ID: "u004", Key: 5, Email: "A@example.org", Username: "a", Created: made(), JobID: "j004"}
	got, err := s.User("u004")
	equal(t, "a user", got, want, err)
	got, err = s.UserByKey(5)
	equal(t, "a user by key", got, want, err)
	for _, c := range []struct {
		after string
		limit int
		want  string
	}{{"", 2, "u000 u001"}, {"u001", 3, "u002 u003 u004"}, {"u008", 3, "u009"}, {"u009", 3, ""}} {
		found, err := s.Users(c.after, c.limit)
		var ids []string
		for _, u := range found {
			ids = append(ids, u.ID)
		}
		if got := strings.Join(ids, " "); err != nil || got != c.want || found == nil {
			t.Errorf("%d after %q: got %q (%v), want %q", c.limit, c.after, got, err, c.want)
		}
	}
	for name, err := range map[string]error{
		"by id": second(s.User("none")), "by key": second(s.UserByKey(99)), "after": second(s.Users("none", 1)),
	} {
		if !errors.Is(err, user.ErrNotFound) {
			t.Errorf("%s, a user who is not there: %v", name, err)
		}
	}
	n := 0
	err = s.EachUser(func(u user.User) {
		if u.ID != fmt.Sprintf("u%03d", n) {
			t.Errorf("user %d is %s", n, u.ID)
		}
		n++
	})
	equal(t, "number of users", n, 10, err)
}

func second[T any](_ T, err error) error { return err }

func TestLog(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	none, err := s.Log("USERS", 0, 10)
	equal(t, "the log of an empty store", len(none), 0, err)
	fill(t, s, 10)
	_, want := newJob(4)
	got, err := s.Accepted("USERS", 5)
	equal(t, "an accept", got, want, err)
	for _, c := range []struct {
		stream string
		key    uint64
	}{{"IMAGES", 5}, {"USERS", 99}, {"NONE", 5}} {
		if _, err := s.Accepted(c.stream, c.key); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("key %d of %s: %v", c.key, c.stream, err)
		}
	}
	rows, err := s.Log("IMAGES", 2, 3) // keys 2, 4, 6, 8, 10
	var keys []uint64
	for _, r := range rows {
		keys = append(keys, r.Key)
	}
	equal(t, "keys after 2", keys, []uint64{4, 6, 8}, err)
	count, bytes, err := s.LogSize("IMAGES", 6)
	_, a := newJob(1)
	equal(t, "size after 6", []int64{count, bytes}, []int64{2, 2 * int64(len(a.Data))}, err)
	count, bytes, err = s.LogSize("NONE", 0)
	equal(t, "size of no stream", []int64{count, bytes}, []int64{0, 0}, err)
}

func TestLogIsReadInPieces(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	c := &commit.Changes{}
	for i := range 100 {
		c.Accepts = append(c.Accepts, commit.Accept{Key: uint64(i + 1), Stream: "USERS", Data: make([]byte, event.MaxEvent)})
	}
	put(t, s, c)
	seen, last := 0, uint64(0)
	for {
		rows, err := s.Log("USERS", last, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		if len(rows) > 20 {
			t.Fatalf("%d events of %d bytes at once", len(rows), event.MaxEvent)
		}
		seen += len(rows)
		last = rows[len(rows)-1].Key
	}
	if seen != 100 {
		t.Errorf("read %d of 100", seen)
	}
}
