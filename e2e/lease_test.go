package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handoff/e2e/internal/house"
)

// anotherAPI gives one more api of a site, with a data directory of its own, not yet started.
func anotherAPI(t *testing.T, s *house.Site, dir string) (*house.Program, *house.Client) {
	t.Helper()
	addr := home(t).Addr(t)
	p := s.Second(t, "api")
	p.Setenv("ADDR="+addr, "DATA_DIR="+dir)
	c := s.With(t) // it registers nobody twice
	c.URL = "http://" + addr
	return p, c
}

// refuses waits until an api takes no requests, and gives the reason.
func refuses(t *testing.T, c *house.Client, because string) {
	t.Helper()
	house.Eventually(t, "an api that takes no requests because "+because, func() error {
		a, err := c.Try(t.Context(), http.MethodPost, "/async-task/", `{}`)
		if err != nil {
			return err
		}
		if a.Status != http.StatusServiceUnavailable || !strings.Contains(string(a.Body), because) || a.Header.Get("Retry-After") == "" {
			return fmt.Errorf("%d %s", a.Status, a.Body)
		}
		return nil
	})
	if a := c.Get("/readyz").Is(http.StatusServiceUnavailable); !strings.Contains(string(a.Body), because) {
		t.Errorf("/readyz says %s, want: %s", a.Body, because)
	}
}

func ready(t *testing.T, c *house.Client) {
	t.Helper()
	house.Eventually(t, "an api that takes requests", func() error {
		a, err := c.Try(t.Context(), http.MethodGet, "/readyz", "")
		if err == nil && a.Status != http.StatusOK {
			err = fmt.Errorf("%d %s", a.Status, a.Body)
		}
		return err
	})
}

// mailedOnce checks that the mailer has sent one mail for each job.
func mailedOnce(t *testing.T, s *house.Site, jobs ...string) {
	t.Helper()
	log := s.Program("mailer").Stderr.String()
	for _, id := range jobs {
		sent := 0
		for line := range strings.Lines(log) {
			if strings.Contains(line, id) && strings.Contains(line, "Simulating sending welcome email") {
				sent++
			}
		}
		if sent != 1 {
			t.Errorf("job %s was mailed %d times, want once", id, sent)
		}
	}
}

// Two apis with a file each: one takes requests, and the other stands by, shows what there is, and goes on when the first has gone.
func TestASecondAPIStandsByAndTakesOver(t *testing.T) {
	t.Parallel()
	s := home(t).Apart(t).Start()
	first := s.Register("/users/")
	s.AwaitState(first.JobID, "succeeded")
	b, second := anotherAPI(t, s, t.TempDir())
	b.Start()
	refuses(t, second, "another api holds this store")
	second.AwaitState(first.JobID, "succeeded")
	again := fmt.Sprintf(`{"email":%q,"username":"Ada"}`, first.Email)

	s.Program("api").Kill()
	ready(t, second)
	second.Post("/users/", again).Is(http.StatusConflict)
	next := second.Register("/users/")
	second.AwaitState(next.JobID, "succeeded")

	s.Program("api").Start()
	refuses(t, s.Client, "another api holds this store")
	b.Stop() // gives it back
	ready(t, s.Client)
	s.Post("/users/", again).Is(http.StatusConflict)
	s.Post("/users/", fmt.Sprintf(`{"email":%q,"username":"Ada"}`, next.Email)).Is(http.StatusConflict)
	last := s.Register("/users/")
	for _, id := range []string{first.JobID, next.JobID, last.JobID} {
		s.AwaitState(id, "succeeded")
	}
	mailedOnce(t, s, first.JobID, next.JobID, last.JobID)
}

// A copy of the directory replaces the original, which takes no more requests and finishes what it has accepted.
func TestACopiedDirectoryReplacesTheOriginal(t *testing.T) {
	t.Parallel()
	s := home(t).Apart(t).Start()
	first := s.Register("/users/")
	s.AwaitState(first.JobID, "succeeded")
	s.Program("tasker").Stop()
	waiting := s.Request("/async-task/", `{}`).JobID
	dir := t.TempDir()
	copyFile(t, filepath.Join(s.Dir, "api.db"), filepath.Join(dir, "api.db"))
	b, second := anotherAPI(t, s, dir)
	b.Start()
	ready(t, second)
	refuses(t, s.Client, "another api holds this store")
	s.Program("tasker").Start()
	next := second.Register("/users/")
	for _, c := range []*house.Client{s.Client, second} {
		c.AwaitState(waiting, "succeeded")
		c.AwaitState(next.JobID, "succeeded")
	}
	mailedOnce(t, s, first.JobID, next.JobID)
}

// An older copy of api.db is put back. What it does not know is learned from NATS: nothing is done again, and no address is free.
func TestAnOlderFilePutBackLearnsWhatItMissed(t *testing.T) {
	t.Parallel()
	s := home(t).Apart(t).Start()
	first := s.Register("/users/")
	s.AwaitState(first.JobID, "succeeded")
	api, file := s.Program("api"), filepath.Join(s.Dir, "api.db")
	api.Stop()
	backup := filepath.Join(t.TempDir(), "api.db")
	copyFile(t, file, backup)
	var later []house.Accepted
	for range 2 { // more starts than the copy knows of
		api.Start()
		ready(t, s.Client)
		later = append(later, s.Register("/users/"))
		s.AwaitState(later[len(later)-1].JobID, "succeeded")
		api.Stop()
	}
	copyFile(t, backup, file)
	api.Start()
	ready(t, s.Client)
	if log := api.Stderr.String(); !strings.Contains(log, "an old copy of this store") {
		t.Error("it is not said that the file is an old copy")
	}
	jobs := []string{first.JobID}
	for _, u := range later {
		s.Post("/users/", fmt.Sprintf(`{"email":%q,"username":"Ada"}`, u.Email)).Is(http.StatusConflict)
		s.AwaitState(u.JobID, "succeeded")
		jobs = append(jobs, u.JobID)
	}
	next := s.Register("/users/")
	s.AwaitState(next.JobID, "succeeded")
	mailedOnce(t, s, append(jobs, next.JobID)...)

	// What NATS knows of users was written anew for this file: without it they are all known again.
	ready(t, s.Client)
	api.Stop()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	api.Start()
	ready(t, s.Client)
	for _, u := range append(later, first, next) {
		s.Post("/users/", fmt.Sprintf(`{"email":%q,"username":"Ada"}`, u.Email)).Is(http.StatusConflict)
	}
	mailedOnce(t, s, append(jobs, next.JobID)...)
}

// An api whose NATS_URL leads to another Handoff's NATS touches nothing there, and says so.
func TestAStrangersNATSIsLeftAlone(t *testing.T) {
	t.Parallel()
	s, stranger := home(t).Apart(t).Start(), home(t).Apart(t).Start()
	theirs := stranger.Register("/users/")
	stranger.AwaitState(theirs.JobID, "succeeded")
	api := s.Program("api")
	s.AwaitState(s.Register("/users/").JobID, "succeeded")
	api.Stop()
	api.Setenv("NATS_URL=" + stranger.NATSURL)
	api.Start()
	refuses(t, s.Client, "this NATS belongs to another store")
	if log := api.Stderr.String(); !strings.Contains(log, "this NATS belongs to another store") {
		t.Error("the log does not say so")
	}
	ready(t, stranger.Client)
	stranger.AwaitState(stranger.Register("/users/").JobID, "succeeded")
	var users []house.Accepted
	stranger.Get("/users/").Is(http.StatusOK).JSON(&users)
	if len(users) != 2 {
		t.Errorf("there are %d users at the stranger's, want its 2", len(users))
	}
	api.Stop()
	api.Setenv("NATS_URL=" + s.NATSURL)
	api.Start()
	ready(t, s.Client)
	s.AwaitState(s.Register("/users/").JobID, "succeeded")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
