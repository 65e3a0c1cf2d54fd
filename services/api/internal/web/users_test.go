package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/user"
)

const ada = `{"email":"ada@example.org","username":"Ada"}`

func TestRegisterAnswersWithTheUserAndTheJob(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path   string
		notify bool
	}{{"/users/", false}, {"/users", false}, {"/users/with-notifications/", true}, {"/users/with-notifications", true}} {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.start(t).post(tt.path, ada).is(201).has("Location", "/users/user-1").has("Content-Type", "application/json")
			const want = `{"id":"user-1","email":"ada@example.org","username":"Ada",` +
				`"created_at":"2026-03-01T12:00:00.123456Z","job_id":"job-of-user-1"}` + "\n"
			if string(a.body) != want {
				t.Errorf("body is %s, want %s", a.body, want)
			}
			if !slices.Equal(w.accepts.notified, []bool{tt.notify}) {
				t.Errorf("notify is %v, want %v", w.accepts.notified, tt.notify)
			}
		})
	}
}

func TestBadRegistrationsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(t)
	withEmail := func(s string) string {
		b, err := json.Marshal(map[string]string{"email": s, "username": "Ada"})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	withName := func(s string) string { return strings.Replace(ada, "Ada", s, 1) }
	for name, tt := range map[string]struct {
		body, header string
		status       int
		location     string // of the first error
	}{
		"wrong type":               {`{"email":1,"username":"Ada"}`, "", 422, "body.email"},
		"array":                    {`[]`, "", 422, "body"},
		"null":                     {`null`, "", 422, "body"},
		"missing field":            {`{"email":"a@b.co"}`, "", 422, "body"},
		"null field":               {`{"email":null,"username":"Ada"}`, "", 422, "body.email"},
		"unknown field":            {`{"email":"a@b.co","username":"Ada","admin":true}`, "", 422, "body.admin"},
		"empty e-mail":             {withEmail(""), "", 422, "body.email"},
		"display name":             {withEmail("Ada <a@b.co>"), "", 422, "body.email"},
		"no dot":                   {withEmail("a@b"), "", 422, "body.email"},
		"localhost":                {withEmail("a@localhost"), "", 422, "body.email"},
		"leading space":            {withEmail(" a@b.co"), "", 422, "body.email"},
		"trailing space":           {withEmail("a@b.co "), "", 422, "body.email"},
		"hyphen first":             {withEmail("a@-b.co"), "", 422, "body.email"},
		"IP literal":               {withEmail("a@[127.0.0.1]"), "", 422, "body.email"},
		"IP address":               {withEmail("a@127.0.0.1"), "", 422, "body.email"},
		"quoted":                   {withEmail(`"a b"@b.co`), "", 422, "body.email"},
		"CRLF injection":           {withEmail("a@b.co\r\nBcc: x@y.zz"), "", 422, "body.email"},
		"no @":                     {withEmail("ab.co"), "", 422, "body.email"},
		"two @":                    {withEmail("a@b@c.co"), "", 422, "body.email"},
		"two dots":                 {withEmail("a@b..co"), "", 422, "body.email"},
		"dot first":                {withEmail(".a@b.co"), "", 422, "body.email"},
		"invisible":                {withEmail("a\u200b@b.co"), "", 422, "body.email"},
		"comment":                  {withEmail("a(x)@b.co"), "", 422, "body.email"},
		"long label":               {withEmail("a@" + strings.Repeat("b", 64) + ".co"), "", 422, "body.email"},
		"long address":             {withEmail("a@" + strings.Repeat("bbbbbbb.", 32) + "co"), "", 422, "body.email"},
		"long address in bytes":    {withEmail("a@" + strings.Repeat(strings.Repeat("ä", 30)+".", 8) + "co"), "", 422, "body.email"},
		"empty username":           {withName(""), "", 422, "body.username"},
		"blank username":           {withName(" \u00a0 "), "", 422, "body.username"},
		"long username":            {withName(strings.Repeat("ä", 101)), "", 422, "body.username"},
		"control in username":      {withName(`A\u0007`), "", 422, "body.username"},
		"line break in username":   {withName(`A\nB`), "", 422, "body.username"},
		"line separator":           {withName("A\u2028B"), "", 422, "body.username"},
		"no JSON":                  {`{"email":`, "", 400, "body"},
		"trailing data":            {ada + `{}`, "", 400, "body"},
		"too deep":                 {strings.Repeat("[", 11_000), "", 400, "body"},
		"no body":                  {``, "Content-Type: application/json", 400, ""},
		"text":                     {ada, "Content-Type: text/plain", 415, "body"},
		"form":                     {`email=a@b.co`, "Content-Type: application/x-www-form-urlencoded", 415, "body"},
		"no content type":          {ada, "Content-Type: ", 415, ""},
		"packed body":              {ada, "Content-Encoding: gzip", 415, ""},
		"larger than the limit":    {withName(strings.Repeat("a", 1<<20)), "", 413, ""},
		"exactly the limit, in it": {withName(strings.Repeat("a", 1<<20-len(ada)+3)), "", 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if tt.header != "" {
				headers = append(headers, tt.header)
			}
			p := c.with(t).post("/users/", tt.body, headers...).problem(tt.status)
			if p.Instance != "/users/" {
				t.Errorf("instance is %q", p.Instance)
			}
			if len(p.Errors) > 1 {
				t.Errorf("more than one error for one mistake: %v", p.Errors)
			}
			switch {
			case tt.location == "":
			case len(p.Errors) == 0 || p.Errors[0].Location != tt.location:
				t.Errorf("errors are %+v, want one at %s", p.Errors, tt.location)
			case tt.location == "body" && p.Errors[0].Value != nil:
				t.Errorf("the body is repeated: %v", p.Errors[0].Value)
			}
		})
	}
	t.Cleanup(func() {
		if len(w.accepts.emails) > 0 {
			t.Errorf("accepted: %q", w.accepts.emails)
		}
	})
}

func TestAllMistakesAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	p := newWorld(t).start(t).post("/users/", `{"email":"a@b","username":" ","x":1}`).problem(422)
	if len(p.Errors) != 3 {
		t.Errorf("errors are %+v, want three", p.Errors)
	}
}

func TestGoodRegistrationsAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(t)
	for _, email := range []string{
		"a@b.co", "Ada.Lovelace+news@mail.example.org", "üñ@exämple.org", "o'hara@example.org", "a@xn--bcher-kva.example",
		"1@2.co", strings.Repeat("a", 64) + "@b.co",
	} {
		c.post("/users/", fmt.Sprintf(`{"email":%q,"username":"Ada"}`, email)).is(201)
	}
	for _, name := range []string{"A", strings.Repeat("ä", 100), "Ada 👩‍💻", "Ünï cödé", `"quoted" <b>`} {
		b, err := json.Marshal(map[string]string{"email": "a@b.co", "username": name})
		if err != nil {
			t.Fatal(err)
		}
		c.post("/users/", string(b)).is(201)
		if got := w.accepts.names[len(w.accepts.names)-1]; got != name {
			t.Errorf("username became %q, want %q", got, name)
		}
	}
	c.post("/users/", ada, "Content-Type: application/json; charset=utf-8").is(201)
	c.post("/users/", ada, "Content-Type: application/vnd.ada+json").is(201)
}

func TestRefusedAccepts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err    error
		status int
		retry  string
	}{
		"taken":         {user.ErrTaken, 409, ""},
		"unavailable":   {&accept.UnavailableError{Reason: "the stream USERS is behind", RetryAfter: 1500 * time.Millisecond}, 503, "2"},
		"no retry time": {fmt.Errorf("register: %w", &accept.UnavailableError{Reason: "starting"}), 503, "1"},
		"too large":     {accept.ErrTooLarge, 413, ""},
		"no space":      {fmt.Errorf("append: %w", accept.ErrNoSpace), 507, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.accepts.err = tt.err
			c := w.start(t)
			a := c.post("/users/", ada).has("Retry-After", tt.retry)
			p := a.problem(tt.status)
			var u *accept.UnavailableError
			if errors.As(tt.err, &u) && !strings.Contains(p.Detail, u.Reason) {
				t.Errorf("detail %q does not give the reason", p.Detail)
			}
			c.post("/async-task/", "").problem(tt.status)
			c.post("/process-image/", `{"image_url":"http://example.org/a.jpg","operations":["resize"]}`).problem(tt.status)
		})
	}
}

func TestInternalErrorsStayInTheLog(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*accepts){
		"error":      func(a *accepts) { a.err = errors.New("secret: bolt page 7 at /var/data") },
		"panic":      func(a *accepts) { a.doom = "secret: bolt page 7 at /var/data" },
		"panic(err)": func(a *accepts) { a.doom = errors.New("secret: bolt page 7 at /var/data") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			breakIt(w.accepts)
			c := w.start(t)
			a := c.post("/users/", ada, "X-Request-Id: find.me")
			a.problem(500)
			if strings.Contains(string(a.body)+fmt.Sprint(a.header), "secret") {
				t.Errorf("the cause leaks: %s", a.body)
			}
			eventually(t, "one error line with the cause and the request's id", func() bool {
				log := w.log.String()
				return strings.Count(log, "secret") >= 1 && strings.Contains(log, `"request_id":"find.me"`) &&
					strings.Count(log, `"level":"ERROR"`) == 1
			})
			c.get("/livez").is(200)
		})
	}
}

func TestUsersArePagedOldestFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 250 {
		w.known.users = append(w.known.users, user.User{ID: fmt.Sprintf("u%03d", i), Email: "a@b.co", Created: created()})
	}
	c := w.start(t)
	ids := func(a *answer) []string {
		var users []struct{ ID, Email, Username, Created_at, Job_id string }
		a.into(&users)
		var ids []string
		for _, u := range users {
			ids = append(ids, u.ID)
		}
		return ids
	}
	var all []string
	pages := 0
	for path := "/users/"; path != ""; pages++ {
		a := c.get(path).is(200)
		all = append(all, ids(a)...)
		path = next(a)
	}
	if pages != 3 || len(all) != 250 || all[0] != "u000" || all[249] != "u249" || !slices.IsSorted(all) {
		t.Errorf("%d pages, %d users", pages, len(all))
	}
	c.get("/users/?limit=2&after=u003").has("Link", `</users/?after=u005&limit=2>; rel="next"`)
	c.get("/users?limit=1&after=u248").has("Link", "")
	if got := string(c.get("/users/?after=u249").is(200).body); got != "[]\n" {
		t.Errorf("behind the last there is %q", got)
	}
	for query, location := range map[string]string{
		"limit=0": "query.limit", "limit=1001": "query.limit", "limit=x": "query.limit", "after=nobody": "query.after", "offset=3": "query.offset",
	} {
		if p := c.get("/users/?" + query).problem(422); len(p.Errors) != 1 || p.Errors[0].Location != location {
			t.Errorf("%s: errors are %+v", query, p.Errors)
		}
	}
}

// next is the path of the next page, empty on the last.
func next(a *answer) string {
	link, ok := strings.CutSuffix(a.header.Get("Link"), `>; rel="next"`)
	if !ok {
		return ""
	}
	return strings.TrimPrefix(link, "<")
}

func TestUserIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.known.users = []user.User{{ID: "u1", Email: "a@b.co", Username: "Ada", Created: created(), JobID: "j1"}}
	c := w.start(t)
	for _, path := range []string{"/users/u1", "/users/u1/"} {
		if got := string(c.get(path).is(200).body); !strings.Contains(got, `"created_at":"2026-03-01T12:00:00.123456Z"`) {
			t.Errorf("%s: %s", path, got)
		}
	}
	for _, path := range []string{"/users/nobody", "/users/no%20id", "/users/" + strings.Repeat("u", 65), "/users/%00"} {
		c.get(path).problem(404)
	}
}

func TestWhatAHandlerKeepsIsNotOverwritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(t)
	c.get("/users/first-one").is(404)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 50 {
				if _, err := c.try(http.MethodGet, fmt.Sprintf("/users/other-%d%d", i, n), ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := w.known.ids[0]; got != "first-one" {
		t.Errorf("the first request's id has become %q", got)
	}
}

// with is the client for a subtest.
func (c *client) with(t *testing.T) *client {
	t.Helper()
	d := *c
	d.t = t
	return &d
}
