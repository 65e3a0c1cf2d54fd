package e2e_test

import (
	"context"
	"encoding/json"
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
	slow(t)
	for name, signal := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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
	slow(t)
	s := home(t).Together(t).Start()
	killUnderLoad(t, s, []string{"handoff"}, 3)
}

// The same holds for each of the processes when they are apart.
func TestAnyKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	slow(t)
	s := home(t).Apart(t).Start()
	killUnderLoad(t, s, []string{"api", house.NATSServer, "mailer"}, 4)
}

// killUnderLoad kills one of the victims in each of some rounds, by E2E_SEED, and looks for what was accepted.
func killUnderLoad(t *testing.T, s *house.Site, victims []string, rounds int) {
	t.Helper()
	seed := uint64(number(t, "E2E_SEED", 1)) //nolint:gosec // any number is a seed
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it need not be secret
	accepted := map[string]house.Accepted{}  // by e-mail address
	for round := range number(t, "E2E_ROUNDS", rounds) {
		victim, after := s.Program(victims[round%len(victims)]), 50+random.IntN(400)
		t.Logf("E2E_SEED=%d, round %d: %s is killed after %d answers", seed, round+1, victim.Name, after)
		registerAndKill(t, s, victim, after, accepted)
		victim.Start()
		s.AwaitReady()
	}
	for _, user := range accepted {
		s.AwaitState(user.JobID, "succeeded")
	}
	checkUsers(t, s, accepted)
	checkLetters(t, s, accepted)
}

// registerAndKill has several clients register users, kills the victim after some answers, and goes on for as many again where
// somebody is left to answer.
func registerAndKill(t *testing.T, s *house.Site, victim *house.Program, after int, accepted map[string]house.Accepted) {
	t.Helper()
	const clients = 8
	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	answers := make(chan house.Accepted, clients)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				body, _ := s.Registration()
				a, err := s.Try(ctx, http.MethodPost, "/users/", body)
				if err != nil {
					return // it has been killed, or there are enough
				}
				var user house.Accepted
				if err := json.Unmarshal(a.Body, &user); err != nil || a.Status != http.StatusCreated {
					t.Errorf("POST /users/: %d %s", a.Status, a.Body)
					return
				}
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
		switch n++; n {
		case after:
			victim.Kill()
		case 2 * after:
			enough()
		}
	}
	if n < after || ctx.Err() == nil && victim.Name != "handoff" && victim.Name != "api" {
		t.Fatalf("the answers ended after %d", n)
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
