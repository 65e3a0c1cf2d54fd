package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"handoff/e2e/internal/house"
)

// A request is one line of the table. In path and body {user}, {job}, {picture} and {sample} stand for what there is, {new} for
// an address that nobody has registered and {taken} for one that somebody has.
type request struct {
	name   string
	method string
	path   string // is asked for with and without its trailing slash
	body   string
	header string
	status int
	has    string // in the body
	check  func(t *testing.T, c *house.Client, a *house.Answer)
}

const (
	get  = http.MethodGet
	post = http.MethodPost
	del  = http.MethodDelete
)

// done waits for the job that an answer names and checks that it is what was asked for.
func done(services ...string) func(*testing.T, *house.Client, *house.Answer) {
	return func(t *testing.T, c *house.Client, a *house.Answer) {
		var accepted house.Accepted
		a.JSON(&accepted)
		j := c.AwaitState(accepted.JobID, "succeeded")
		var did []string
		for _, task := range j.Tasks {
			did = append(did, task.Service)
			if task.State != "succeeded" || task.Attempt != 1 || task.Result == nil {
				t.Errorf("the task of %s is %+v", task.Service, task)
			}
		}
		if strings.Join(did, " ") != strings.Join(services, " ") {
			t.Errorf("the tasks are %v, want %v", did, services)
		}
		switch a.Status {
		case http.StatusCreated:
			if accepted.ID == "" || accepted.Username != "Ada" || accepted.CreatedAt.IsZero() || a.Header.Get("Location") != "/users/"+accepted.ID {
				t.Errorf("the user is %s, at %s", a.Body, a.Header.Get("Location"))
			}
		case http.StatusAccepted:
			if at := "/jobs/" + j.ID; accepted.Status != "queued" || accepted.StatusURL != at || a.Header.Get("Location") != at {
				t.Errorf("the answer is %s, at %s", a.Body, a.Header.Get("Location"))
			}
		}
	}
}

// accepts are requests that make a job.
func accepts() []request {
	const user = `{"email":"{new}","username":"Ada"}`
	picture := func(operations string) string { return `{"image_url":"{sample}","operations":` + operations + `}` }
	return []request{
		{"user", post, "/users/", user, "", 201, `"job_id":`, done("mailer")},
		{"user with notice", post, "/users/with-notifications/", user, "", 201, `"job_id":`, done("mailer", "notifier")},
		{"picture", post, "/process-image/", picture(`["resize","compress","watermark"]`), "", 202, `"job_id":`, done("imager")},
		{"picture with options", post, "/process-image/", picture(`[{"name":"resize","width":100,"height":80},{"name":"watermark","text":"Ada"}]`), "", 202, `"job_id":`, done("imager")},
		{"task", post, "/async-task/", "", "", 202, `"job_id":`, done("tasker")},
		{"short task", post, "/async-task/", `{"duration_seconds":0.1}`, "", 202, `"job_id":`, done("tasker")},
		{"task in the request", post, "/sync-task/", "", "", 200, `"message":`, nil},
	}
}

// refusals are requests that make nothing.
func refusals() []request {
	withMail := func(s string) string { return `{"email":"` + s + `","username":"Ada"}` }
	withURL := func(s string) string { return `{"image_url":"` + s + `","operations":["resize"]}` }
	withOps := func(s string) string { return `{"image_url":"http://example.org/a.jpg","operations":` + s + `}` }
	return []request{
		{"address taken", post, "/users/", withMail("{taken}"), "", 409, "already registered", nil},
		{"address taken, with notice", post, "/users/with-notifications/", withMail("{taken}"), "", 409, "already registered", nil},
		{"address taken, in capitals", post, "/users/", withMail("{TAKEN}"), "", 409, "already registered", nil},
		{"no address", post, "/users/", withMail("ada"), "", 422, "body.email", nil},
		{"no address, with notice", post, "/users/with-notifications/", withMail("ada"), "", 422, "body.email", nil},
		{"no name", post, "/users/", `{"email":"{new}"}`, "", 422, "username", nil},
		{"empty name", post, "/users/", `{"email":"{new}","username":""}`, "", 422, "body.username", nil},
		{"unknown field", post, "/users/", `{"email":"{new}","username":"Ada","admin":true}`, "", 422, "body.admin", nil},
		{"delay is no time", post, "/users/", `{"email":"{new}","username":"Ada","delay":"soon"}`, "", 422, "body.delay", nil},
		{"deadline before its time", post, "/async-task/", `{"delay":"2h","deadline":"1h"}`, "", 422, "body.deadline", nil},
		{"no JSON", post, "/users/", `{"email":`, "", 400, "JSON", nil},
		{"no body", post, "/users/", "", "", 400, "missing", nil},
		{"text", post, "/users/", withMail("{new}"), "Content-Type: text/plain", 415, "application/json", nil},
		{"picture: no address", post, "/process-image/", withURL(""), "", 422, "body.image_url", nil},
		{"picture: a file", post, "/process-image/", withURL("file:///etc/passwd"), "", 422, "body.image_url", nil},
		{"picture: no operation", post, "/process-image/", withOps(`[]`), "", 422, "body.operations", nil},
		{"picture: unknown operation", post, "/process-image/", withOps(`["resize","rotate"]`), "", 422, "resize, compress, watermark", nil},
		{"picture: operation twice", post, "/process-image/", withOps(`["resize","resize"]`), "", 422, "body.operations[1]", nil},
		{"picture: no JSON", post, "/process-image/", `x`, "", 400, "JSON", nil},
		{"task: too long", post, "/async-task/", `{"duration_seconds":61}`, "", 422, "body.duration_seconds", nil},
		{"task: no JSON", post, "/async-task/", `{`, "", 400, "JSON", nil},
		{"user unknown", get, "/users/none", "", "", 404, "no such user", nil},
		{"job unknown", get, "/jobs/none", "", "", 404, "no such job", nil},
		{"result of an unknown job", get, "/jobs/none/result", "", "", 404, "no such job", nil},
		{"result of a job without one", get, "/jobs/{job}/result", "", "", 404, "no picture", nil},
		{"wait is no time", get, "/jobs/{job}?wait=soon", "", "", 422, "query.wait", nil},
		{"state unknown", get, "/jobs/?state=lost", "", "", 422, "query.state", nil},
		{"limit too small", get, "/users/?limit=0", "", "", 422, "query.limit", nil},
		{"page after nobody", get, "/users/?after=none", "", "", 422, "query.after", nil},
		{"path unknown", get, "/nothing/", "", "", 404, "nothing at this path", nil},
		{"method unknown", del, "/users/", "", "", 405, "Allow", nil},
		{"method unknown for a job", del, "/jobs/{job}", "", "", 405, "Allow", nil},
		{"get of what is posted", get, "/process-image/", "", "", 405, "Allow", nil},
	}
}

// reads are requests for what there is.
func reads() []request {
	return []request{
		{"users", get, "/users/", "", "", 200, `"email":"{taken}"`, nil},
		{"first user", get, "/users/?limit=1", "", "", 200, `[{"id":`, nextPage("/users/")},
		{"users by page", get, "/users/?limit=1000&after={user}", "", "", 200, `[`, nil},
		{"one user", get, "/users/{user}", "", "", 200, `"id":"{user}"`, nil},
		{"jobs", get, "/jobs/", "", "", 200, `"id":"`, nil},
		{"first job", get, "/jobs/?limit=1", "", "", 200, `[{"id":`, nextPage("/jobs/")},
		{"jobs of a state", get, "/jobs/?state=succeeded&limit=1000", "", "", 200, `"id":"{job}"`, every(func(j house.Job) bool { return j.State == "succeeded" })},
		{"jobs of a type", get, "/jobs/?type=image.requested&limit=1000", "", "", 200, `"id":"{picture}"`, every(func(j house.Job) bool { return j.Type == "image.requested" })},
		{"jobs of a service", get, "/jobs/?service=mailer&limit=1000", "", "", 200, `"id":"{job}"`, every(func(j house.Job) bool { return j.Tasks[0].Service == "mailer" })},
		{"jobs before one", get, "/jobs/?after={job}", "", "", 200, `[]`, nil},
		{"job", get, "/jobs/{job}", "", "", 200, `"state":"succeeded"`, nil},
		{"job, waited for", get, "/jobs/{picture}?wait=10s", "", "", 200, `"result_url":"/jobs/{picture}/result"`, nil},
		{"result", get, "/jobs/{picture}/result", "", "", 200, "\xff\xd8\xff", func(t *testing.T, _ *house.Client, a *house.Answer) {
			if a.Header.Get("Content-Type") != "image/jpeg" || a.Header.Get("ETag") == "" {
				t.Errorf("the header is %v", a.Header)
			}
		}},
		{"health", get, "/health", "", "", 200, `"status":"ok"`, nil},
		{"alive", get, "/livez", "", "", 200, "ok\n", nil},
		{"ready", get, "/readyz", "", "", 200, "ok\n", nil},
		{"metrics", get, "/metrics", "", "", 200, "go_goroutines", nil},
	}
}

func nextPage(path string) func(*testing.T, *house.Client, *house.Answer) {
	return func(t *testing.T, c *house.Client, a *house.Answer) {
		next, rel, _ := strings.Cut(a.Header.Get("Link"), ">; ")
		if rel != `rel="next"` || !strings.HasPrefix(next, "<"+path+"?") {
			t.Fatalf("the link to the next page is %q", a.Header.Get("Link"))
		}
		if page := c.Get(next[1:]).Is(http.StatusOK); string(page.Body) == string(a.Body) || len(page.Body) < 10 {
			t.Errorf("the next page is %s", page.Body)
		}
	}
}

func every(is func(house.Job) bool) func(*testing.T, *house.Client, *house.Answer) {
	return func(t *testing.T, _ *house.Client, a *house.Answer) {
		var jobs []house.Job
		for a.JSON(&jobs); len(jobs) > 0; jobs = jobs[1:] {
			if !is(jobs[0]) {
				t.Errorf("not one of those asked for: %+v", jobs[0])
			}
		}
	}
}

// pages are for people, and work without a network: what they load is here too.
func pages() []request {
	local := func(t *testing.T, _ *house.Client, a *house.Answer) {
		for _, attr := range []string{`src="http`, `src="//`, `href="http`, `href="//`} {
			if strings.Contains(string(a.Body), attr) {
				t.Errorf("the page loads something from elsewhere: %s", a.Body)
			}
		}
	}
	return []request{
		{"front page", get, "/", "", "", 302, "", func(t *testing.T, _ *house.Client, a *house.Answer) {
			if a.Header.Get("Location") != "/docs" {
				t.Errorf("it leads to %q", a.Header.Get("Location"))
			}
		}},
		{"Swagger UI", get, "/docs", "", "", 200, "swagger-ui-bundle.js", local},
		{"Swagger UI's code", get, "/docs/swagger-ui-bundle.js", "", "", 200, "SwaggerUI", nil},
		{"ReDoc", get, "/redoc", "", "", 200, "redoc.standalone.js", local},
		{"ReDoc's code", get, "/redoc/redoc.standalone.js", "", "", 200, "Redoc", nil},
		{"OpenAPI document", get, "/openapi.json", "", "", 200, `"openapi": "3.1.0"`, func(t *testing.T, _ *house.Client, a *house.Answer) {
			var doc struct{ Paths map[string]json.RawMessage }
			a.JSON(&doc)
			for _, path := range []string{
				"/users/", "/users/with-notifications/", "/users/{id}", "/process-image/", "/async-task/", "/sync-task/", "/jobs/", "/jobs/{id}",
				"/jobs/{id}/result", "/health",
			} {
				if doc.Paths[path] == nil {
					t.Errorf("the document does not have %s", path)
				}
			}
		}},
	}
}
