package web_test

import (
	"encoding/json"
	"testing"
	"time"
)

func TestWhenAJobMayBeDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(t)
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	for body, want := range map[string]struct{ due, end time.Duration }{
		`{}`:                                   {},
		`{"delay":0}`:                          {},
		`{"delay":null}`:                       {},
		`{"delay":90}`:                         {due: 90 * time.Second},
		`{"delay":"90"}`:                       {due: 90 * time.Second},
		`{"delay":"1h30m"}`:                    {due: 90 * time.Minute},
		`{"delay":"8760h"}`:                    {due: 8760 * time.Hour},
		`{"run_at":"` + in(time.Hour) + `"}`:   {due: time.Hour},
		`{"run_at":"2020-01-01T00:00:00Z"}`:    {},
		`{"deadline":"` + in(time.Hour) + `"}`: {end: time.Hour},
		`{"deadline":60.5}`:                    {end: 60500 * time.Millisecond},
		`{"delay":"1m","deadline":"2m"}`:       {due: time.Minute, end: 2 * time.Minute},
		`{"run_at":"` + in(time.Minute) + `","deadline":"1h"}`: {due: time.Minute, end: time.Hour},
	} {
		now := time.Now()
		a := c.post("/async-task/", body).is(202)
		w.accepts.mu.Lock()
		got := w.accepts.timing[len(w.accepts.timing)-1]
		w.accepts.mu.Unlock()
		for name, times := range map[string]struct {
			got  *time.Time
			want time.Duration
		}{"due": {got.Due, want.due}, "deadline": {got.NotAfter, want.end}} {
			switch {
			case (times.got != nil) != (times.want != 0):
				t.Errorf("%s: %s is %v, want one: %t", body, name, times.got, times.want != 0)
			case times.got != nil && times.got.Sub(now.Add(times.want)).Abs() > 30*time.Second:
				t.Errorf("%s: %s is %v, want it in %v", body, name, times.got, times.want)
			}
		}
		var shown struct {
			Status string     `json:"status"`
			RunAt  *time.Time `json:"run_at"`
		}
		if err := json.Unmarshal(a.body, &shown); err != nil || (shown.Status == "scheduled") != (want.due != 0) || (shown.RunAt != nil) != (want.due != 0) {
			t.Errorf("%s is answered %s", body, a.body)
		}
	}
}

func TestTimesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	c := newWorld(t).start(t)
	for body, field := range map[string]string{
		`{"delay":-1}`:                                   "body.delay",
		`{"delay":"-1s"}`:                                "body.delay",
		`{"delay":"soon"}`:                               "body.delay",
		`{"delay":"NaN"}`:                                "body.delay",
		`{"delay":{"hours":1}}`:                          "body.delay",
		`{"delay":"8761h"}`:                              "body.delay",
		`{"run_at":"tomorrow"}`:                          "body.run_at",
		`{"run_at":"2999-01-01T00:00:00Z"}`:              "body.run_at",
		`{"delay":"1s","run_at":"2026-01-01T00:00:00Z"}`: "body.run_at",
		`{"deadline":"2020-01-01T00:00:00Z"}`:            "body.deadline",
		`{"deadline":"whenever"}`:                        "body.deadline",
		`{"delay":"2h","deadline":"1h"}`:                 "body.deadline",
	} {
		if p := c.post("/async-task/", body).problem(422); len(p.Errors) != 1 || p.Errors[0].Location != field {
			t.Errorf("%s is refused with %+v, want one for %s", body, p.Errors, field)
		}
	}
	for path, body := range map[string]string{
		"/users/":         `{"email":"a@example.org","username":"Ada","delay":"soon"}`,
		"/process-image/": `{"image_url":"http://example.org/a.jpg","operations":["resize"],"delay":"soon"}`,
	} {
		if p := c.post(path, body).problem(422); len(p.Errors) != 1 || p.Errors[0].Location != "body.delay" {
			t.Errorf("%s is refused with %+v", path, p.Errors)
		}
	}
}
