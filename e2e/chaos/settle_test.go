//go:build unix

package chaos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strings"
	"time"

	"handoff/e2e/internal/house"
	"handoff/e2e/internal/ledger"
)

// worthTelling is longer than it takes to give a killed holder up, which is a second and a half AckWaits.
const worthTelling = 2 * ackWait

// settle waits until everything takes work, every job that is listed has ended, and no delivery is under way that could do anything
// again. limit is how long nothing may end, and times five how long it may take in all. recovered is when the last job had ended. The
// error says what did not come.
func (s *scene) settle(limit time.Duration) (recovered time.Time, err error) {
	begin := time.Now()
	patience := newPatience(begin, limit)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	var before error
	for counted := begin; ; <-again.C {
		if err = s.atRest(); err != nil {
			before = err
		} else {
			if recovered.IsZero() {
				if recovered = time.Now(); recovered.Sub(begin) > worthTelling {
					s.say("the last that it waited for: %v", before)
				}
			}
			if err = s.quiet(); err == nil {
				return recovered, nil
			}
		}
		if time.Since(counted) > 2*time.Second && before != nil {
			counted = time.Now()
			if n, err := s.unended(); err == nil && patience.look(counted, n) {
				s.say("%d jobs have not ended yet", n)
			}
		}
		if time.Now().After(patience.end) {
			return recovered, err
		}
	}
}

// unended counts the jobs that are still to be done.
func (s *scene) unended() (n int, err error) {
	for _, state := range []string{"queued", "running"} {
		jobs, err := pages[house.Job](s, "/jobs/?limit=1000&state="+state)
		if err != nil {
			return 0, err
		}
		n += len(jobs)
	}
	return n, nil
}

// A patience lasts as long as there are fewer and fewer jobs, up to an end.
type patience struct {
	limit     time.Duration
	end, last time.Time
	least     int
}

func newPatience(now time.Time, limit time.Duration) *patience {
	return &patience{limit: limit, end: now.Add(limit), last: now.Add(5 * limit), least: math.MaxInt}
}

// look notes how many jobs there are, and reports whether they have become fewer.
func (p *patience) look(now time.Time, jobs int) bool {
	if jobs >= p.least {
		return false
	}
	p.least, p.end = jobs, now.Add(p.limit)
	if p.end.After(p.last) {
		p.end = p.last
	}
	return true
}

// atRest reports what is still to be done. A process that has ended by itself is started again, as whoever looks after it would, and
// noted.
func (s *scene) atRest() error {
	for _, p := range s.all() {
		if !p.Running() {
			s.note("%s has ended by itself with exit code %d", p.Name, p.Exit(house.Patience))
			p.Start()
			return fmt.Errorf("%s has ended by itself", p.Name)
		}
	}
	for _, name := range house.Services() {
		if err := s.Ready(name); err != nil {
			return err
		}
	}
	for _, state := range []string{"queued", "running"} {
		var jobs []house.Job
		if _, err := s.page("/jobs/?limit=1000&state="+state, &jobs); err != nil {
			return err
		}
		if len(jobs) > 0 {
			return fmt.Errorf("%d jobs are %s, such as %+v", len(jobs), state, jobs[0])
		}
	}
	return nil
}

// quiet reports whether a consumer still has something to deliver, or waits for an ack.
func (s *scene) quiet() error {
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Second)
	defer cancel()
	for service, stream := range consumers() {
		c, err := s.js.Consumer(ctx, stream, service)
		if err != nil {
			return fmt.Errorf("consumer %s of %s: %w", service, stream, err)
		}
		if info := c.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
			return fmt.Errorf("consumer %s of %s: %d to be delivered, %d without an ack", service, stream, info.NumPending, info.NumAckPending)
		}
	}
	return nil
}

// awaitRelayed waits until what was accepted is in its stream.
func (s *scene) awaitRelayed() {
	house.Eventually(s.t, "a relay that has caught up", func() error {
		var h struct{ Status string }
		if err := s.get("/health", &h); err != nil {
			return err
		}
		if h.Status != "ok" {
			return fmt.Errorf("it says %s", h.Status)
		}
		return nil
	})
}

// collect brings what is known of the site up to date. What does not fit is noted.
func (s *scene) collect() error {
	jobs, err := pages[house.Job](s, "/jobs/?limit=1000")
	if err != nil {
		return err
	}
	for _, j := range s.jobs {
		j.Listed = false
	}
	for _, j := range jobs {
		known := s.jobs[j.ID]
		if known == nil {
			known = &ledger.Job{ID: j.ID, Round: s.now.number}
			s.jobs[j.ID] = known
		}
		if known.Listed {
			s.note("job %s is listed twice", j.ID)
		}
		known.Listed, known.State, known.Services = true, j.State, nil
		for _, task := range j.Tasks {
			known.Services = append(known.Services, task.Service)
		}
		s.checkPicture(j)
	}
	for _, e := range s.book.accepted {
		j := s.jobs[e.job]
		if j == nil {
			j = &ledger.Job{ID: e.job}
			s.jobs[e.job] = j
		}
		j.Answered, j.Round, j.Services = true, e.round, e.asks
	}
	users, err := pages[house.Accepted](s, "/users/?limit=1000")
	if err != nil {
		return err
	}
	s.checkUsers(users)
	s.readEffects()
	return nil
}

// checkUsers looks for everybody who was accepted, once.
func (s *scene) checkUsers(users []house.Accepted) {
	listed := map[string]bool{}
	for _, user := range users {
		if listed[user.Email] {
			s.note("%s is registered twice", user.Email)
		}
		listed[user.Email] = true
		s.byEmail[user.Email] = user.JobID
	}
	for _, e := range s.book.accepted {
		switch {
		case e.email == "":
		case !listed[e.email]:
			s.note("%s was accepted and is not listed", e.email)
		case s.byEmail[e.email] != e.job:
			s.note("%s was accepted with job %s and is listed with %s", e.email, e.job, s.byEmail[e.email])
		}
	}
}

// checkPicture asks for the result of a job, once.
func (s *scene) checkPicture(j house.Job) {
	if j.Type != "image.requested" || j.State != "succeeded" || s.pictures[j.ID] {
		return
	}
	s.pictures[j.ID] = true
	a, err := s.Try(s.t.Context(), http.MethodGet, "/jobs/"+j.ID+"/result", "")
	switch {
	case err != nil:
		s.note("the picture of job %s: %v", j.ID, err)
	case a.Status == http.StatusOK && a.Header.Get("Content-Type") == "image/jpeg" && len(a.Body) > 0:
	case (a.Status == http.StatusGone || a.Status == http.StatusNotFound) && s.forgets():
	default:
		s.note("the picture of job %s: %d %s, %d bytes", j.ID, a.Status, a.Header.Get("Content-Type"), len(a.Body))
	}
}

func (s *scene) forgets() bool {
	for _, f := range s.faults {
		if f.Forgets {
			return true
		}
	}
	return false
}

var address = regexp.MustCompile(`\((\S+@\S+)\)!$`)

// readEffects asks the far sides, and reads what has been logged since.
func (s *scene) readEffects() {
	letters := s.mailbox.Letters()
	for _, l := range letters[s.readLetters:] {
		job, _, _ := strings.Cut(l.MessageID, ".mailer@")
		s.effects = append(s.effects, ledger.Effect{Job: job, Service: "mailer", At: l.At})
	}
	s.readLetters = len(letters)
	posts := s.channel.Posts()
	for _, p := range posts[s.readPosts:] {
		job := p.Text
		if m := address.FindStringSubmatch(p.Text); m != nil && s.byEmail[m[1]] != "" {
			job = s.byEmail[m[1]]
		}
		s.effects = append(s.effects, ledger.Effect{Job: job, Service: "notifier", At: p.At})
	}
	s.readPosts = len(posts)
	s.readLog("imager", "Image processing completed")
	s.readLog("tasker", "Async task completed")
}

// readLog takes the lines in which a service says that it has done the work of a job, before it says so to anybody else.
func (s *scene) readLog(service, says string) {
	text, end := s.Program(service).Stderr.Since(s.readLogs[service])
	s.readLogs[service] = end
	lines, _ := house.ReadLines(text)
	for _, l := range lines {
		if strings.HasPrefix(l.Msg, says) {
			s.effects = append(s.effects, ledger.Effect{Job: l.Job, Service: service, At: l.Time})
		}
	}
}

// page reads one page of a list and gives the path of the next.
func (s *scene) page(path string, v any) (next string, err error) {
	a, err := s.Try(s.t.Context(), http.MethodGet, path, "")
	if err != nil {
		return "", err
	}
	if a.Status != http.StatusOK {
		return "", fmt.Errorf("%s: %d %.200s", a.Request, a.Status, a.Body)
	}
	next, _, _ = strings.Cut(a.Header.Get("Link"), ">")
	return strings.TrimPrefix(next, "<"), json.Unmarshal(a.Body, v)
}

func (s *scene) get(path string, v any) error {
	_, err := s.page(path, v)
	return err
}

// pages reads a whole list.
func pages[T any](s *scene, path string) (all []T, err error) {
	for path != "" {
		var some []T
		if path, err = s.page(path, &some); err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}
