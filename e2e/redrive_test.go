package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"handoff/e2e/internal/house"
)

// webhook is a channel that refuses for good until it is told to take what comes.
type webhook struct {
	url string

	mu      sync.Mutex
	takes   bool
	refused []string // texts
	taken   []string
}

func newWebhook(t *testing.T) *webhook {
	t.Helper()
	h := &webhook{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var p struct{ Content string }
		_ = json.Unmarshal(body, &p) // the test looks at the text
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.takes {
			h.refused = append(h.refused, p.Content)
			http.Error(w, `{"message":"Unknown Message","code":50035}`, http.StatusBadRequest)
			return
		}
		h.taken = append(h.taken, p.Content)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(srv.Close)
	h.url = srv.URL + "/api/webhooks/1/token"
	return h
}

func (h *webhook) take(takes bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.takes = takes
}

func (h *webhook) seen() (refused, taken int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.refused), len(h.taken)
}

// halfDead has somebody registered whose notice is refused, and gives the job, of which that is dead.
func halfDead(t *testing.T, s *house.Site) *house.Job {
	t.Helper()
	j := s.AwaitState(s.Register("/users/with-notifications/").JobID, "dead")
	if m, n := j.Task("mailer"), j.Task("notifier"); m.State != "succeeded" || n.State != "dead" || !strings.Contains(n.Error, "400") {
		t.Fatalf("the tasks are %+v, want a notice alone that was refused", j.Tasks)
	}
	return j
}

// onlyTheNotice fails the test unless of a job that has succeeded the notice alone was done again.
func onlyTheNotice(t *testing.T, s *house.Site, before *house.Job) {
	t.Helper()
	j := s.AwaitState(before.ID, "succeeded")
	if n := j.Task("notifier"); n.Generation != 1 || n.Attempt != 1 || n.Error != "" {
		t.Errorf("the notice is %+v, want one attempt of generation 1", n)
	}
	was, is := before.Task("mailer"), j.Task("mailer")
	if is.Generation != 0 || is.Attempt != was.Attempt || !is.EndedAt.Equal(was.EndedAt) {
		t.Errorf("the e-mail was %+v and is %+v", was, is)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "mail", before.ID+".mailer.eml")); err != nil {
		t.Error(err)
	}
}

// A click has done again what failed and nothing else, however fast the second one comes.
func TestRetryDoesAgainOnlyWhatFailed(t *testing.T) {
	t.Parallel()
	hook := newWebhook(t)
	s := home(t).Together(t, "DISCORD_WEBHOOK_URL="+hook.url).Start()
	j := halfDead(t, s)
	retry := "/jobs/" + j.ID + "/retry"
	s.Post("/jobs/none/retry", "").Is(http.StatusNotFound)
	hook.take(true)

	var clicks sync.WaitGroup
	status := make([]int, 4)
	for i := range status {
		clicks.Go(func() {
			if a, err := s.Try(t.Context(), http.MethodPost, retry+strings.Repeat("/", i%2), ""); err != nil {
				t.Error(err)
			} else {
				status[i] = a.Status
			}
		})
	}
	clicks.Wait()
	slices.Sort(status)
	if !slices.Equal(status, []int{http.StatusAccepted, http.StatusConflict, http.StatusConflict, http.StatusConflict}) {
		t.Errorf("four clicks are answered with %v, want one 202", status)
	}
	onlyTheNotice(t, s, j)
	if refused, taken := hook.seen(); refused != 1 || taken != 1 {
		t.Errorf("%d notices were refused and %d taken, want one each", refused, taken)
	}
	if a := s.Post(retry, "").Is(http.StatusConflict); a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("the refusal is %s", a.Body)
	}

	// With a key the same click is answered as it was, and another job's with the same key is another request.
	hook.take(false)
	one, two := halfDead(t, s), halfDead(t, s)
	hook.take(true)
	const key = `Idempotency-Key: "one-click"`
	var first string
	for range 2 {
		a := s.Do(http.MethodPost, "/jobs/"+one.ID+"/retry", "", key).Is(http.StatusAccepted)
		if first == "" {
			first = string(a.Body)
		}
		if string(a.Body) != first || a.Header.Get("Location") != "/jobs/"+one.ID {
			t.Errorf("answered %s, then %s", first, a.Body)
		}
		s.AwaitState(one.ID, "succeeded")
	}
	s.Do(http.MethodPost, "/jobs/"+two.ID+"/retry", "", key).Is(http.StatusUnprocessableEntity)
	onlyTheNotice(t, s, one)
}

// What was cancelled can be done after all.
func TestRetryDoesWhatWasCancelled(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t).Start()
	id := s.Request("/async-task/", `{"duration_seconds":2}`).JobID
	s.AwaitRunning(id)
	s.Post("/jobs/"+id+"/retry", "").Is(http.StatusConflict)
	s.Post("/jobs/"+id+"/cancel", "").Is(http.StatusAccepted)
	house.Eventually(t, "a retry that is taken", func() error {
		if a := s.Post("/jobs/"+id+"/retry", ""); a.Status != http.StatusAccepted {
			return fmt.Errorf("it is answered %d %s", a.Status, a.Body) // the service has not heard of the cancel yet
		}
		return nil
	})
	if task := s.AwaitState(id, "succeeded").Tasks[0]; task.Generation != 1 || task.Attempt != 1 {
		t.Errorf("the task is %+v", task)
	}

	later := s.Request("/async-task/", `{"duration_seconds":0,"delay":"1h"}`).JobID
	s.Post("/jobs/"+later+"/cancel", "").Is(http.StatusAccepted)
	house.Eventually(t, "a retry that is taken", func() error {
		if a := s.Post("/jobs/"+later+"/retry", ""); a.Status != http.StatusAccepted {
			return fmt.Errorf("it is answered %d %s", a.Status, a.Body)
		}
		return nil
	})
	s.AwaitState(later, "succeeded") // at once
}

// redriven is what POST /dead/redrive answers.
type redriven struct {
	DryRun      bool `json:"dry_run"`
	Jobs, Tasks int
	More        bool
}

// Of many dead jobs those are done again that failed with one error; before that they are counted and looked at.
func TestRedriveByError(t *testing.T) {
	t.Parallel()
	source := newSource(t)
	s := home(t).Together(t, "IMAGE_ALLOW="+source.addr).Start()
	text := strings.TrimSuffix(source.url, "picture.png") + "readme.txt"
	var broken, missing []string
	for range 3 {
		broken = append(broken, s.Picture(text, `["resize"]`))
		missing = append(missing, s.Picture(s.SampleURL+"x", `["resize"]`))
	}
	for _, id := range slices.Concat(broken, missing) {
		s.AwaitState(id, "dead")
	}

	var page []struct {
		house.Job
		Data struct {
			URL string `json:"image_url"`
		}
	}
	a := s.Get("/dead/?service=imager&error=UNSUPPORTED&limit=2").Is(http.StatusOK).JSON(&page)
	if len(page) != 2 || page[0].ID != broken[2] || page[1].ID != broken[1] || page[0].Data.URL != text || page[0].Tasks[0].Attempt != 1 {
		t.Errorf("the first page is %s", a.Body)
	}
	next, _, _ := strings.Cut(strings.TrimPrefix(a.Header.Get("Link"), "<"), ">")
	if a := s.Get(next).Is(http.StatusOK).JSON(&page); len(page) != 1 || page[0].ID != broken[0] || a.Header.Get("Link") != "" {
		t.Errorf("the second page, %s, is %s", next, a.Body)
	}
	s.Get("/dead/" + broken[0]).Is(http.StatusOK)

	source.picturesOnly()
	redrive := func(body string, want redriven) {
		t.Helper()
		var got redriven
		if s.Post("/dead/redrive", body).Is(http.StatusOK).JSON(&got); got != want {
			t.Errorf("%s: got %+v, want %+v", body, got, want)
		}
	}
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	redrive(`{"dry_run":true}`, redriven{DryRun: true, Jobs: 6, Tasks: 6})
	redrive(`{"error":"unsupported","dry_run":true}`, redriven{DryRun: true, Jobs: 3, Tasks: 3})
	redrive(`{"error":"unsupported","from":"`+soon+`"}`, redriven{})
	redrive(`{"error":"unsupported","service":"mailer"}`, redriven{})
	redrive(`{"error":"unsupported","until":"`+soon+`","limit":2}`, redriven{Jobs: 2, Tasks: 2, More: true})
	redrive(`{"error":"unsupported","type":"image.requested","task":"process-image"}`, redriven{Jobs: 1, Tasks: 1})
	s.Post("/dead/redrive/", `{"errors":"misspelt"}`).Is(http.StatusUnprocessableEntity)
	for _, id := range broken {
		if task := s.AwaitState(id, "succeeded").Tasks[0]; task.Generation != 1 {
			t.Errorf("the task is %+v", task)
		}
		s.Get("/dead/" + id).Is(http.StatusNotFound)
	}
	for _, id := range missing {
		if task := s.Job(id).Tasks[0]; task.State != "dead" || task.Generation != 0 {
			t.Errorf("one that nobody has asked for again is %+v", task)
		}
	}
}

// A click is kept when it is answered: NATS is away, and the api is killed before it could tell anybody. Then api.db is deleted, and the
// message of another one is all that is left of it.
func TestRetryOutlivesAKillAndALostStore(t *testing.T) {
	t.Parallel()
	hook := newWebhook(t)
	s := home(t).Apart(t, "DISCORD_WEBHOOK_URL="+hook.url).Start()
	one, two := halfDead(t, s), halfDead(t, s)
	hook.take(true)
	api, nats, notifier := s.Program("api"), s.Program(house.NATSServer), s.Program("notifier")

	nats.Stop()
	s.Post("/jobs/"+one.ID+"/retry", "").Is(http.StatusAccepted)
	s.Post("/jobs/"+one.ID+"/retry", "").Is(http.StatusConflict)
	api.Kill()
	nats.Start()
	api.Start()
	s.AwaitReady()
	onlyTheNotice(t, s, one)

	notifier.Stop()
	s.Post("/jobs/"+two.ID+"/retry", "").Is(http.StatusAccepted)
	_, js := connect(t, s)
	house.Eventually(t, "the click in the stream", func() error {
		m := awaitMessage(t, js, "USERS", "retry.notifier.user.created")
		if !strings.Contains(string(m.Data), two.ID) || m.Header.Get("Handoff-Generation") != "1" {
			return fmt.Errorf("the last one is %s, %v", m.Data, m.Header)
		}
		return nil
	})
	api.Kill()
	if err := os.Remove(filepath.Join(s.Dir, "api.db")); err != nil {
		t.Fatal(err)
	}
	api.Start()
	house.Eventually(t, "an api that is ready", func() error {
		a, err := s.Try(t.Context(), http.MethodGet, "/readyz", "")
		if err == nil && a.Status != http.StatusOK {
			err = fmt.Errorf("it says %s", a.Body)
		}
		return err
	})
	if n := s.Job(two.ID).Task("notifier"); n.State != "queued" || n.Generation != 1 {
		t.Errorf("with a new api.db the notice is %+v, want one that is asked for in generation 1", n)
	}
	notifier.Start()
	onlyTheNotice(t, s, two)
	if refused, taken := hook.seen(); refused != 2 || taken != 2 {
		t.Errorf("%d notices were refused and %d taken, want two each", refused, taken)
	}
}
