package web_test

import (
	"strings"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
)

type serviceAnswer struct {
	Name        string
	Paused      bool
	PausedUntil string `json:"paused_until"`
	Waiting     int
	InHand      int `json:"in_hand"`
	Tasks       []struct{ Name, Type string }
}

func TestAServiceIsPausedAndResumed(t *testing.T) {
	t.Parallel()
	c := newWorld(t).start(t)
	var one serviceAnswer
	c.get("/services/mailer").is(200).into(&one)
	if one.Paused || one.Waiting != 3 || one.InHand != 1 || len(one.Tasks) != 1 || one.Tasks[0].Type != "user.created" {
		t.Errorf("it is %+v", one)
	}
	for body, until := range map[string]bool{"": false, "{}": false, `{"for":"90s"}`: true} {
		one = serviceAnswer{}
		c.post("/services/mailer/pause", body).is(200).into(&one)
		if !one.Paused || (one.PausedUntil != "") != until {
			t.Errorf("after %s it is %+v", body, one)
		}
	}
	for range 2 {
		one = serviceAnswer{}
		c.post("/services/mailer/resume", "").is(200).into(&one)
		if one.Paused {
			t.Errorf("it is %+v", one)
		}
	}
	var all []serviceAnswer
	c.get("/services/").is(200).into(&all)
	if len(all) != 2 || all[1].Name != "imager" {
		t.Errorf("they are %+v", all)
	}
}

func TestAPauseThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(t)
	for _, body := range []string{`{"for":"soon"}`, `{"for":"0s"}`, `{"for":"-1h"}`, `{"for":"10ms"}`, `{"for":"721h"}`} {
		if p := c.post("/services/mailer/pause", body).problem(422); !strings.Contains(string(c.post("/services/mailer/pause", body).body), "from 1s to 720h") {
			t.Errorf("%s: %+v", body, p)
		}
	}
	c.post("/services/nobody/pause", "").problem(404)
	c.post("/services/nobody/resume", "").problem(404)
	c.get("/services/nobody").problem(404)
	w.staff.err = &accept.UnavailableError{Reason: "NATS is away", RetryAfter: time.Second}
	for _, path := range []string{"/services/mailer/pause", "/services/mailer/resume"} {
		if a := c.post(path, ""); a.header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After is %q", path, a.header.Get("Retry-After"))
		}
		c.post(path, "").problem(503)
	}
	c.get("/services/").problem(503)
}
