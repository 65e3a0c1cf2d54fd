//go:build unix

package chaos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"handoff/e2e/internal/house"
)

// An entry is one request that was answered with a 2xx.
type entry struct {
	job   string
	email string // of a registration
	round int
	asks  []string // services
}

// A book is what the clients write down. It is safe for concurrent use.
type book struct {
	mu       sync.Mutex
	accepted []entry
	unknown  map[int]int // by round: no answer came
	refused  map[int]int // by status: 503 and 507
	wrong    []string    // answers that nobody should get
}

func newBook() *book { return &book{unknown: map[int]int{}, refused: map[int]int{}} }

// refusals gives how many requests were answered with a status.
func (b *book) refusals(status int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused[status]
}

// A request is what a client asks for.
type request struct {
	path, body string
	email      string
	status     int
	asks       []string
}

// draw gives a client's next request.
func (s *scene) draw(random *rand.Rand) request {
	switch n := random.IntN(20); {
	case n < 9:
		return s.registration("/users/", "mailer")
	case n < 13:
		return s.registration("/users/with-notifications/", "mailer", "notifier")
	case n < 16:
		body := fmt.Sprintf(`{"image_url":%q,"operations":["resize","watermark"]}`, s.gallery.URL)
		return request{path: "/process-image/", body: body, status: http.StatusAccepted, asks: []string{"imager"}}
	default:
		return task(random.Float64() * 1.5)
	}
}

func task(seconds float64) request {
	body := fmt.Sprintf(`{"duration_seconds":%.2f}`, seconds)
	return request{path: "/async-task/", body: body, status: http.StatusAccepted, asks: []string{"tasker"}}
}

func (s *scene) registration(path string, asks ...string) request {
	body, email := s.Registration()
	return request{path: path, body: body, email: email, status: http.StatusCreated, asks: asks}
}

// load has clients ask until enough is called, which waits for the answers that are under way.
func (s *scene) load(r round) (enough func()) {
	const clients = 4
	over := make(chan struct{})
	var all sync.WaitGroup
	for i := range clients {
		random := rand.New(rand.NewPCG(r.seed, uint64(i))) //nolint:gosec // it need not be secret
		all.Go(func() {
			for {
				pause := time.NewTimer(time.Duration(20+random.IntN(60)) * time.Millisecond)
				select {
				case <-pause.C:
					s.ask(r.number, s.draw(random))
				case <-over:
					pause.Stop()
					return
				}
			}
		})
	}
	return func() {
		close(over)
		all.Wait()
	}
}

// flood asks for short tasks as fast as they are accepted, until enough says so.
func (s *scene) flood(random *rand.Rand, enough func() bool) (sent int) {
	const clients = 8
	over := make(chan struct{})
	counts := [clients]int{}
	var all sync.WaitGroup
	for i := range clients {
		seconds := random.Float64() / 100
		all.Go(func() {
			for ; ; counts[i]++ {
				select {
				case <-over:
					return
				default:
					s.ask(s.now.number, task(seconds))
				}
			}
		})
	}
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for !enough() {
		<-look.C
	}
	close(over)
	all.Wait()
	for _, n := range counts {
		sent += n
	}
	return sent
}

// ask sends a request and writes down what came of it. It never gives up early: a request without an answer is one that may or may
// not have made a job.
func (s *scene) ask(round int, q request) {
	a, err := s.Try(context.WithoutCancel(s.t.Context()), http.MethodPost, q.path, q.body)
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	if err != nil {
		s.book.unknown[round]++
		return
	}
	switch a.Status {
	case q.status:
		var got house.Accepted
		if err := json.Unmarshal(a.Body, &got); err != nil || got.JobID == "" {
			s.book.wrong = append(s.book.wrong, fmt.Sprintf("%s: no job in the answer: %.200s", a.Request, a.Body))
			return
		}
		s.book.accepted = append(s.book.accepted, entry{job: got.JobID, email: q.email, round: round, asks: q.asks})
	case http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		s.book.refused[a.Status]++
	default:
		s.book.wrong = append(s.book.wrong, fmt.Sprintf("%s: %d %.200s", a.Request, a.Status, a.Body))
	}
}
