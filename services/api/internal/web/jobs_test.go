package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/web"
	"handoff/shared/event"
)

// imageJob is a job with one imager task in that state.
func imageJob(state event.State, errText string) *job.Job {
	return &job.Job{
		ID: "j1", Type: event.ImageRequested, Created: created(),
		Tasks: []job.Task{{Service: "imager", Name: "process-image", State: state, Error: errText}},
	}
}

func TestJobIsShownWithEverythingKnownOfItsTasks(t *testing.T) {
	t.Parallel()
	at := created()
	w := newWorld(t)
	w.known.jobs = []*job.Job{{
		ID: "j1", Type: event.UserCreated, Created: at, Key: 7, Stream: "USERS",
		Tasks: []job.Task{
			{
				Service: "mailer", Name: "welcome-email", State: event.Succeeded, Generation: 1, Claim: 3, Attempt: 2,
				Result: json.RawMessage(`{"message_id":"<a&b>"}`), Started: &at, Ended: &at, Trace: "00-ab-cd-01",
				Steps: []event.Step{{Attempt: 2, State: event.Succeeded, At: at}}, Entry: 9, Message: 8, Revision: 7, Touched: at,
			},
			{
				Service: "notifier", Name: "welcome-notice", State: event.Retrying, Attempt: 1, Due: &at, Error: "429",
				Progress: &event.Progress{Percent: 50, Note: "half"},
			},
		},
	}}
	c := w.start(t)
	const want = `{"id":"j1","type":"user.created","state":"running","created_at":"2026-03-01T12:00:00.123456Z","status_url":"/jobs/j1",` +
		`"tasks":[{"service":"mailer","task":"welcome-email","state":"succeeded","attempt":2,"generation":1,"result":{"message_id":"<a&b>"},` +
		`"started_at":"2026-03-01T12:00:00.123456Z","ended_at":"2026-03-01T12:00:00.123456Z","traceparent":"00-ab-cd-01",` +
		`"steps":[{"attempt":2,"state":"succeeded","at":"2026-03-01T12:00:00.123456Z"}]},` +
		`{"service":"notifier","task":"welcome-notice","state":"retrying","attempt":1,"error":"429","progress":{"percent":50,"note":"half"},` +
		`"due":"2026-03-01T12:00:00.123456Z","steps":[]}]}` + "\n"
	for _, path := range []string{"/jobs/j1", "/jobs/j1/"} {
		if got := string(c.get(path).is(200).body); got != want {
			t.Errorf("%s:\n got %s\nwant %s", path, got, want)
		}
	}
	for _, path := range []string{"/jobs/j2", "/jobs/a.b", "/jobs/j2?wait=10s"} {
		c.get(path).problem(404)
	}
}

func TestJobsAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 5 {
		w.known.jobs = append(w.known.jobs, &job.Job{ID: fmt.Sprintf("j%d", 9-i), Type: event.UserCreated, Created: created()})
	}
	c := w.start(t)
	a := c.get("/jobs/?state=dead&service=mailer&type=user.created&limit=2&after=j8").is(200)
	if want := (job.Query{State: event.Dead, Service: "mailer", Type: event.UserCreated, After: "j8", Limit: 3}); w.known.query != want {
		t.Errorf("asked for %+v, want %+v", w.known.query, want)
	}
	if got, want := next(a), "/jobs/?after=j6&limit=2&service=mailer&state=dead&type=user.created"; got != want {
		t.Errorf("next page is %q, want %q", got, want)
	}
	c.get(next(a)).is(200).has("Link", "")
	c.get("/jobs").is(200)
	for query, location := range map[string]string{
		"state=done": "query.state", "type=user.deleted": "query.type", "limit=-1": "query.limit", "after=j1": "query.after", "status=dead": "query.status",
	} {
		if p := c.get("/jobs/?" + query).problem(422); len(p.Errors) != 1 || p.Errors[0].Location != location {
			t.Errorf("%s: errors are %+v", query, p.Errors)
		}
	}
}

func TestWaitAnswersWhenTheJobEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ path, prefer, applied string }{
		"duration":       {"/jobs/j1?wait=30s", "", ""},
		"seconds":        {"/jobs/j1/?wait=30", "", ""},
		"Prefer":         {"/jobs/j1", "respond-async, wait=30", "wait=30"},
		"too long":       {"/jobs/j1", "wait=3600", "wait=60"},
		"query is first": {"/jobs/j1?wait=20s", "wait=0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.known.jobs = []*job.Job{imageJob(event.Running, "")}
			w.waits.final = imageJob(event.Succeeded, "")
			c := w.start(t)
			go func() { <-w.waits.begun; close(w.waits.ended) }()
			a := c.get(tt.path, "Prefer: "+tt.prefer).is(200).has("Preference-Applied", tt.applied)
			if !strings.Contains(string(a.body), `"state":"succeeded"`) || !strings.Contains(string(a.body), `"result_url":"/jobs/j1/result"`) {
				t.Errorf("body is %s", a.body)
			}
		})
	}
}

func TestWaitEndsWithTheStateAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.known.jobs = []*job.Job{imageJob(event.Running, "")}
	c := w.start(t)
	start := time.Now()
	a := c.get("/jobs/j1?wait=50ms").is(200)
	if took := time.Since(start); took < 50*time.Millisecond || !strings.Contains(string(a.body), `"state":"running"`) {
		t.Errorf("after %s: %s", took, a.body)
	}
	for _, path := range []string{"/jobs/j1", "/jobs/j1?wait=0", "/jobs/j1?wait="} {
		c.get(path, "Prefer: handling=lenient").is(200).has("Preference-Applied", "")
	}
}

func TestAnEndedJobIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.known.jobs = []*job.Job{imageJob(event.Dead, "no such host")}
	w.start(t).get("/jobs/j1?wait=60s").is(200)
	if len(w.waits.begun) > 0 {
		t.Error("waited")
	}
}

func TestBadWaitsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.known.jobs = []*job.Job{imageJob(event.Running, "")}
	c := w.start(t)
	for _, wait := range []string{"61s", "-1", "soon", "10m", "NaN", "Inf", "1e300", "-0.1s"} {
		if p := c.get("/jobs/j1?wait=" + wait).problem(422); len(p.Errors) != 1 || p.Errors[0].Location != "query.wait" {
			t.Errorf("%s: %+v", wait, p.Errors)
		}
	}
	c.get("/jobs/j1?wiat=10s").problem(422)
}

func TestResultIsSentAsItsType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.known.jobs = []*job.Job{imageJob(event.Succeeded, "")}
	c := w.start(t)
	for _, path := range []string{"/jobs/j1/result", "/jobs/j1/result/"} {
		a := c.get(path).is(200).has("Content-Type", "image/webp").has("ETag", `"SHA-256=abc"`).
			has("Cache-Control", "private, no-cache").has("X-Content-Type-Options", "nosniff")
		if string(a.body) != string(w.album.data) || a.size != int64(len(w.album.data)) {
			t.Errorf("body is %q, Content-Length %d", a.body, a.size)
		}
		for _, have := range []string{`"SHA-256=abc"`, `W/"SHA-256=abc"`, `"x", "SHA-256=abc"`, `*`} {
			a := c.get(path, "If-None-Match: "+have).is(304).has("ETag", `"SHA-256=abc"`)
			if len(a.body) > 0 {
				t.Errorf("304 with a body: %q", a.body)
			}
		}
		c.get(path, `If-None-Match: "other"`).is(200)
		if a := c.do(http.MethodHead, path, "").is(200); a.size != int64(len(w.album.data)) {
			t.Errorf("HEAD: Content-Length is %d", a.size)
		}
	}
	eventually(t, "every picture is closed", func() bool { return w.album.open() == 0 })
}

func TestResultThatIsNoPictureIsNotShownAsOne(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"text/html", "image/svg+xml", ""} {
		w := newWorld(t)
		w.known.jobs = []*job.Job{imageJob(event.Succeeded, "")}
		w.album.typ = typ
		w.start(t).get("/jobs/j1/result").is(200).has("Content-Type", "application/octet-stream")
	}
}

func TestResultThatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		job    *job.Job
		err    error
		status int
		detail string
	}{
		"no job":       {&job.Job{ID: "other"}, nil, 404, "no such job"},
		"no picture":   {&job.Job{ID: "j1", Tasks: []job.Task{{Service: "mailer", State: event.Succeeded}}}, nil, 404, "makes no picture"},
		"queued":       {imageJob(event.Queued, ""), nil, 409, "queued"},
		"retrying":     {imageJob(event.Retrying, "no such host"), nil, 409, "retrying"},
		"dead":         {imageJob(event.Dead, "no such host"), nil, 409, "no such host"},
		"cancelled":    {imageJob(event.Cancelled, ""), nil, 409, "cancelled"},
		"gone":         {imageJob(event.Succeeded, ""), fmt.Errorf("get object: %w", web.ErrNoPicture), 410, "not kept"},
		"unavailable":  {imageJob(event.Succeeded, ""), &accept.UnavailableError{Reason: "NATS is away"}, 503, "NATS is away"},
		"store broken": {imageJob(event.Succeeded, ""), errors.New("secret"), 500, "has failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.known.jobs, w.album.err = []*job.Job{tt.job}, tt.err
			if p := w.start(t).get("/jobs/j1/result").problem(tt.status); !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("detail %q does not say %q", p.Detail, tt.detail)
			}
		})
	}
}

func TestASlowPictureIsNotCutWhileItMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.known.jobs = []*job.Job{imageJob(event.Succeeded, "")}
	w.album.data = make([]byte, 1<<20)
	w.album.pause = 60 * time.Millisecond // for each of at least 16 pieces: more than the time for one answer
	c := run(t, web.Quick(w.opts, 0, 0, 500*time.Millisecond, 0))
	if a := c.get("/jobs/j1/result").is(200); len(a.body) != 1<<20 {
		t.Errorf("got %d bytes", len(a.body))
	}
	// The next answer on this connection has its own time.
	c.get("/livez").is(200)
}
