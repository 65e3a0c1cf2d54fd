package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/redrive"
	"handoff/shared/event"
)

func TestRetryIsAcceptedWithAndWithoutASlash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(t)
	const want = `{"job_id":"j1","status":"queued","status_url":"/jobs/j1","message":"What had failed will be done again in the background."}` + "\n"
	for _, path := range []string{"/jobs/j1/retry", "/jobs/j1/retry/"} {
		if a := c.post(path, "", "Idempotency-Key: k").is(202).has("Location", "/jobs/j1"); string(a.body) != want {
			t.Errorf("body is %s, want %s", a.body, want)
		}
	}
	c.post("/jobs/j2/retry", "", "Idempotency-Key: k").is(202)
	if k := w.accepts.keys; fmt.Sprint(w.accepts.retried) != "[j1 j1 j2]" || k[0] != k[1] || k[1] == k[2] {
		t.Errorf("retried %v; the keys of one job must be the same, and another's another: %v", w.accepts.retried, k)
	}
}

func TestRetryIsRefused(t *testing.T) {
	t.Parallel()
	for want, err := range map[int]error{
		404: job.ErrNotFound, 409: accept.ErrNothingDead, 422: accept.ErrKeyReused, 507: accept.ErrNoSpace, 500: errors.New("secret"),
		503: &accept.UnavailableError{Reason: "it is full", RetryAfter: time.Second},
	} {
		w := newWorld(t)
		w.accepts.err = err
		c := w.start(t)
		if p := c.post("/jobs/j1/retry", "").problem(want); strings.Contains(p.Detail, "secret") {
			t.Errorf("%v is answered with %+v", err, p)
		}
		c.post("/jobs/"+strings.Repeat("x", 65)+"/retry", "").problem(404)
	}
}

func TestRedriveOfMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dead.counts = redrive.Counts{Jobs: 3, Tasks: 4, More: true}
	c := w.start(t)
	from, until := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), time.Date(2026, 3, 2, 12, 0, 0, 5e8, time.UTC)
	const filter = `"service":"mailer","task":"welcome-email","type":"user.created","error":"time","from":"2026-03-01T13:00:00+01:00","until":"2026-03-02T12:00:00.5Z","limit":7`
	if a := c.post("/dead/redrive", `{`+filter+`}`).is(200); string(a.body) != `{"dry_run":false,"jobs":3,"tasks":4,"more":true}`+"\n" {
		t.Errorf("answered %s", a.body)
	}
	which := w.dead.which
	if !which.From.Equal(from) || !which.Until.Equal(until) || w.dead.limit != 7 || w.dead.done != 1 || w.dead.counted != 0 {
		t.Errorf("asked for %+v of %d jobs, %d times", which, w.dead.limit, w.dead.done)
	}
	which.From, which.Until = time.Time{}, time.Time{}
	if which != (job.Dead{Service: "mailer", Task: "welcome-email", Type: event.UserCreated, Error: "time"}) {
		t.Errorf("asked for %+v", which)
	}
	if a := c.post("/dead/redrive/", `{"dry_run":true}`).is(200); string(a.body) != `{"dry_run":true,"jobs":3,"tasks":4,"more":true}`+"\n" {
		t.Errorf("answered %s", a.body)
	}
	if w.dead.which != (job.Dead{}) || w.dead.limit != 1000 || w.dead.done != 1 || w.dead.counted != 1 {
		t.Errorf("a dry run asked for %+v of %d jobs, and did %d", w.dead.which, w.dead.limit, w.dead.done-1)
	}
	w.dead.err = &accept.UnavailableError{Reason: "it is full", RetryAfter: time.Second}
	if p := c.post("/dead/redrive", `{}`).problem(503); !strings.Contains(p.Detail, "4 tasks of 3 jobs") {
		t.Errorf("cut short it says %q", p.Detail)
	}
}

// A filter that is not understood must not select everything.
func TestBadFiltersAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(t)
	for name, tt := range map[string]struct {
		body, query string
		location    string
	}{
		"misspelt":     {`{"errror":"x"}`, "errror=x", "errror"},
		"type":         {`{"type":"user.made"}`, "type=user.made", "type"},
		"limit":        {`{"limit":0}`, "limit=0", "limit"},
		"large limit":  {`{"limit":100001}`, "limit=201", "limit"},
		"no time":      {`{"from":"yesterday"}`, "from=yesterday", "from"},
		"end is first": {`{"from":"2026-03-02T12:00:00Z","until":"2026-03-01T12:00:00Z"}`, "from=2026-03-02T12:00:00Z&until=2026-03-01T12:00:00Z", "until"},
		"long error":   {`{"error":"` + strings.Repeat("x", 1025) + `"}`, "error=" + strings.Repeat("x", 1025), "error"},
	} {
		if p := c.post("/dead/redrive", tt.body).problem(422); len(p.Errors) != 1 || p.Errors[0].Location != "body."+tt.location {
			t.Errorf("%s: %+v", name, p)
		}
		if p := c.get("/dead/?" + tt.query).problem(422); len(p.Errors) != 1 || p.Errors[0].Location != "query."+tt.location {
			t.Errorf("%s: %+v", name, p)
		}
	}
	c.post("/dead/redrive", "").problem(400)
	if w.dead.done+w.dead.counted != 0 {
		t.Error("something was done all the same")
	}
}

func decode(t *testing.T, a *answer, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

func TestWhatFailedIsListedWithWhatItWasToDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := created()
	for i := range 3 {
		w.known.jobs = append(w.known.jobs, &job.Job{
			ID: fmt.Sprint("d", i), Type: event.TaskRequested, Created: at,
			Tasks: []job.Task{{Service: "tasker", Name: "demo-task", State: event.Dead, Attempt: 5, Error: "no", Ended: &at, Steps: []event.Step{{Attempt: 5, State: event.Dead, At: at}}}},
		})
	}
	w.known.jobs = append(w.known.jobs, imageJob(event.Succeeded, ""))
	c := w.start(t)
	type dead struct {
		ID, State string
		Tasks     []struct {
			Attempt int
			Error   string
			Steps   []struct{ Attempt int }
		}
		Data struct {
			DurationMS int `json:"duration_ms"`
		}
	}
	const filter = "service=tasker&task=demo-task&type=task.requested&error=a+b&from=2026-03-01T12:00:00Z&until=2026-03-02T12:00:00.5Z"
	a := c.get("/dead/?limit=2&" + filter).is(200)
	var page []dead
	decode(t, a, &page)
	if len(page) != 2 || page[0].ID != "d0" || page[0].State != "dead" || page[0].Data.DurationMS != 7 || page[0].Tasks[0].Attempt != 5 ||
		page[0].Tasks[0].Error != "no" || len(page[0].Tasks[0].Steps) != 1 {
		t.Errorf("the page is %s", a.body)
	}
	if q := w.known.query; q.Dead == nil || q.Dead.Error != "a b" || q.Dead.Until.IsZero() || q.Limit != 3 {
		t.Errorf("asked for %+v", q)
	}
	next, _, _ := strings.Cut(strings.TrimPrefix(a.header.Get("Link"), "<"), ">")
	u, err := url.Parse(next)
	if err != nil || u.Path != "/dead/" || u.Query().Get("error") != "a b" || u.Query().Get("until") != "2026-03-02T12:00:00.5Z" || u.Query().Get("after") != "d1" {
		t.Errorf("the next page is %q", next)
	}
	c.get(next).is(200)
	c.get("/dead/?after=none").problem(422)

	var one dead
	if decode(t, c.get("/dead/d1").is(200), &one); one.ID != "d1" || one.Data.DurationMS != 7 {
		t.Errorf("one is %+v", one)
	}
	for id, says := range map[string]string{w.known.jobs[3].ID: "no dead task", "none": "no such job"} {
		if p := c.get("/dead/" + id).problem(404); !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %q", id, p.Detail)
		}
	}
}
