package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"handoff/e2e/internal/house"
)

// stopWithin is how long a stop may take, whatever is under way.
const stopWithin = 10 * time.Second

// What is under way when a stop comes, and what waits, is done after the next start.
func TestStopLosesNothing(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "SIGINT" {
				slow(t)
			}
			source := newSource(t)
			s := home(t).Together(t, "IMAGE_ALLOW="+source.addr, "IMAGE_CONCURRENCY=2").Start()
			source.block()
			var jobs []string
			for range 6 {
				jobs = append(jobs, s.Picture(source.url, `["resize","compress","watermark"]`))
			}
			s.AwaitRunning(jobs[0])
			handoff := s.Program("handoff")
			handoff.Signal(signal)
			if code := handoff.Exit(stopWithin); code != 0 {
				t.Fatalf("the exit code is %d", code)
			}
			source.open()
			s.Start()
			for _, id := range jobs {
				s.AwaitState(id, "succeeded")
			}
		})
	}
}

// A second signal ends the process although it would wait for what runs.
func TestSecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	source := newSource(t)
	s := home(t).Together(t, "IMAGE_ALLOW="+source.addr, "SHUTDOWN_GRACE=1h").Start()
	source.block()
	id := s.Picture(source.url, `["resize"]`)
	s.AwaitRunning(id)
	handoff := s.Program("handoff")
	handoff.Signal(os.Interrupt)
	house.Eventually(t, "the first signal is taken", func() error {
		if a, err := s.Try(t.Context(), http.MethodGet, "/readyz", ""); err == nil && a.Status == http.StatusOK {
			return fmt.Errorf("it says %s", a.Body)
		}
		return nil
	})
	if !handoff.Running() {
		t.Fatal("the first signal has ended it, although a job is under way")
	}
	handoff.Signal(os.Interrupt)
	if code := handoff.Exit(house.Patience); code != 130 {
		t.Errorf("the exit code is %d, want 130", code)
	}
	source.open()
	s.Start()
	s.AwaitState(id, "succeeded")
}

// Whatever was answered with 201 is done, and mailed once, wherever the process is killed.
func TestKilledUnderLoadKeepsWhatItAccepted(t *testing.T) {
	t.Parallel()
	seed := uint64(number(t, "E2E_SEED", 1)) //nolint:gosec // any number is a seed
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it need not be secret
	t.Logf("E2E_SEED=%d", seed)
	s := home(t).Together(t).Start()
	handoff := s.Program("handoff")
	accepted := map[string]house.Accepted{} // by e-mail address
	for range number(t, "E2E_ROUNDS", 3) {
		killAfter := 50 + random.IntN(400)
		register(t, s, handoff, killAfter, accepted)
		s.Start()
	}
	for _, user := range accepted {
		s.AwaitState(user.JobID, "succeeded")
	}
	checkUsers(t, s, accepted)
	checkLetters(t, s, accepted)
}

// register has several clients register users until the process is killed, which is after some of them have been accepted.
func register(t *testing.T, s *house.Site, handoff *house.Program, killAfter int, accepted map[string]house.Accepted) {
	t.Helper()
	const clients = 8
	answers := make(chan house.Accepted, clients)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				body, _ := s.Registration()
				a, err := s.Try(t.Context(), http.MethodPost, "/users/", body)
				if err != nil {
					return // it has been killed
				}
				if a.Status != http.StatusCreated {
					t.Errorf("POST /users/: %d %s", a.Status, a.Body)
					return
				}
				var user house.Accepted
				a.JSON(&user)
				answers <- user
			}
		})
	}
	go func() {
		wg.Wait()
		close(answers)
	}()
	n := 0
	for user := range answers {
		accepted[user.Email] = user
		if n++; n == killAfter {
			handoff.Kill()
		}
	}
	if n < killAfter {
		t.Fatalf("only %d registrations were answered before it ended", n)
	}
}

// checkUsers looks for everybody who was accepted, once.
func checkUsers(t *testing.T, s *house.Site, accepted map[string]house.Accepted) {
	t.Helper()
	found := map[string]bool{}
	for path := "/users/?limit=1000"; path != ""; {
		var users []house.Accepted
		a := s.Get(path).Is(http.StatusOK).JSON(&users)
		for _, user := range users {
			if found[user.Email] {
				t.Errorf("%s is there twice", user.Email)
			}
			found[user.Email] = true
			if was, ok := accepted[user.Email]; ok && (was.ID != user.ID || was.JobID != user.JobID) {
				t.Errorf("%s was answered as %+v and is kept as %+v", user.Email, was, user)
			}
		}
		next, _, _ := strings.Cut(a.Header.Get("Link"), ">")
		path = strings.TrimPrefix(next, "<")
	}
	for email := range accepted {
		if !found[email] {
			t.Errorf("%s was accepted and is not there", email)
		}
	}
}

// checkLetters looks for one e-mail for each job: a killed process may have left parts of one, under another name.
func checkLetters(t *testing.T, s *house.Site, accepted map[string]house.Accepted) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir, "mail", "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	letters := map[string]string{} // file by recipient
	for _, file := range files {
		to := readMail(t, file).header["To"]
		if other, ok := letters[to]; ok {
			t.Errorf("%s was mailed twice: %s and %s", to, other, file)
		}
		letters[to] = file
	}
	for email, user := range accepted {
		if file := letters[`"Ada" <`+email+`>`]; filepath.Base(file) != user.JobID+".mailer.eml" {
			t.Errorf("the e-mail of job %s to %s is %q", user.JobID, email, file)
		}
	}
	t.Logf("%d were accepted, %d mailed", len(accepted), len(letters))
}
