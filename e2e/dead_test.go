package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/e2e/internal/house"
)

func connect(t *testing.T, s *house.Site) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(s.NATSURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// awaitMessage gives the last message on a subject of a stream, once there is one.
func awaitMessage(t *testing.T, js jetstream.JetStream, stream, subject string) *jetstream.RawStreamMsg {
	t.Helper()
	var m *jetstream.RawStreamMsg
	house.Eventually(t, "a message on "+subject+" in "+stream, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), house.Patience)
		defer cancel()
		st, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		m, err = st.GetLastMsgForSubject(ctx, subject)
		return err
	})
	return m
}

// What can't be done is dead at once, says why, and its event is on a dead letter with the reason.
func TestDeadJobLeavesALetter(t *testing.T) {
	t.Parallel()
	source := newSource(t)
	s := home(t).Together(t, "IMAGE_ALLOW="+source.addr).Start()
	_, js := connect(t, s)
	text := strings.TrimSuffix(source.url, "picture.png") + "readme.txt"
	for name, tt := range map[string]struct{ url, operations, says string }{
		"no picture":        {text, `["resize"]`, "unsupported"},
		"not public":        {"http://127.0.0.1/a.png", `["resize"]`, "blocked_url"},
		"another port":      {"http://127.0.0.1:1/a.png", `["resize"]`, "blocked_url"},
		"not there":         {s.URL + "/samples/none.jpg", `["resize"]`, "not_found"}, // the api's own address is always allowed
		"impossible option": {source.url, `[{"name":"resize","width":-5}]`, "resize: width is -5"},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.With(t)
			id := c.Picture(tt.url, tt.operations)
			j := c.AwaitState(id, "dead")
			if task := j.Tasks[0]; task.State != "dead" || task.Attempt != 1 || !strings.Contains(task.Error, tt.says) {
				t.Errorf("the task is %+v, want an error with %q after one attempt", task, tt.says)
			}
			if a := c.Get("/jobs/" + id + "/result").Is(http.StatusConflict); !strings.Contains(string(a.Body), "no picture") {
				t.Errorf("the answer is %s", a.Body)
			}
			deadLetter(t, js, j)
		})
	}
}

func deadLetter(t *testing.T, js jetstream.JetStream, j *house.Job) {
	t.Helper()
	house.Eventually(t, "the dead letter of job "+j.ID, func() error {
		m := awaitMessage(t, js, "DEAD", "dead.imager.image.requested")
		if !strings.Contains(string(m.Data), j.ID) {
			return fmt.Errorf("the last one is %s", m.Data)
		}
		want := map[string]string{
			"Handoff-Attempts": strconv.Itoa(j.Tasks[0].Attempt), "Handoff-Error": j.Tasks[0].Error, "Nats-Msg-Id": j.ID + ".imager.0.dead",
		}
		for header, value := range want {
			if got := m.Header.Get(header); got != value {
				t.Errorf("%s is %q, want %q", header, got, value)
			}
		}
		return nil
	})
}

// An unknown host may be known again soon: it is tried again, and what it waits for is shown.
func TestUnknownHostIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t).Start()
	id := s.Picture("http://pictures.invalid/a.jpg", `["resize"]`)
	house.Eventually(t, "a second attempt", func() error {
		j := s.Job(id)
		if task := j.Tasks[0]; task.Attempt < 2 || !strings.HasPrefix(task.Error, "unreachable: http://pictures.invalid/a.jpg") {
			return fmt.Errorf("the task is %+v", task)
		}
		return nil
	})
}

// Whoever can publish can have work done, without the api.
func TestEventMadeByHandIsDone(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t).Start()
	_, js := connect(t, s)
	const event = `{"specversion":"1.0","id":"by-hand_1","source":"me","type":"user.created",
		"data":{"user_id":"u1","email":"hand@example.org","username":"Hand"}}`
	if _, err := js.Publish(t.Context(), "user.created", []byte(event)); err != nil {
		t.Fatal(err)
	}
	house.Eventually(t, "the job", func() error {
		if a := s.Get("/jobs/by-hand_1"); a.Status != http.StatusOK {
			return fmt.Errorf("it is %d %s", a.Status, a.Body)
		}
		return nil
	})
	j := s.AwaitState("by-hand_1", "succeeded")
	if len(j.Tasks) != 1 || j.Tasks[0].Service != "mailer" {
		t.Errorf("the tasks are %+v", j.Tasks)
	}
	if m := readMail(t, filepath.Join(s.Dir, "mail", "by-hand_1.mailer.eml")); m.header["To"] != `"Hand" <hand@example.org>` {
		t.Errorf("the e-mail goes to %s", m.header["To"])
	}
	s.Get("/users/u1").Is(http.StatusOK)
	// The address has a user now.
	s.Post("/users/", `{"email":"hand@example.org","username":"Ada"}`).Is(http.StatusConflict)
}

// What nobody can read is put aside and holds nothing up.
func TestUndecodableMessageIsPutAside(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t).Start()
	_, js := connect(t, s)
	for subject, data := range map[string]string{
		"user.created":    "not even JSON",
		"image.requested": `{"specversion":"1.0","id":"no spaces","source":"me","type":"image.requested","data":{}}`,
		"task.requested":  `{"specversion":"0.3","id":"x","source":"me","type":"task.requested","data":{"duration_ms":1}}`,
	} {
		if _, err := js.Publish(t.Context(), subject, []byte(data)); err != nil {
			t.Fatal(err)
		}
		m := awaitMessage(t, js, "DEAD", "dead.api."+subject)
		if string(m.Data) != data || m.Header.Get("Handoff-Error") == "" || m.Header.Get("Handoff-Attempts") != "0" {
			t.Errorf("%s: the letter is %s, with %v", subject, m.Data, m.Header)
		}
	}
	s.AwaitState(s.Register("/users/").JobID, "succeeded")
	s.AwaitState(s.Request("/async-task/", `{"duration_seconds":0}`).JobID, "succeeded")
}
