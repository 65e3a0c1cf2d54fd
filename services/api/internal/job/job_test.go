package job_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"
	"time"

	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

var update = flag.Bool("update", false, "write the golden files")

func tasks(states ...job.State) *job.Job {
	j := &job.Job{ID: "j1", Type: event.UserCreated}
	for i, s := range states {
		t := job.Task{Service: []string{"mailer", "notifier", "imager"}[i], State: s}
		if s.Ended() {
			at := start().Add(time.Duration(i) * time.Second)
			t.Ended = &at
		}
		j.Tasks = append(j.Tasks, t)
	}
	return j
}

func TestState(t *testing.T) {
	t.Parallel()
	const (
		queued, running, retrying = event.Queued, event.Running, event.Retrying
		succeeded, dead, gone     = event.Succeeded, event.Dead, event.Cancelled
	)
	for _, c := range []struct {
		tasks []job.State
		want  job.State
	}{
		{nil, succeeded},
		{[]job.State{queued}, queued},
		{[]job.State{queued, queued}, queued},
		{[]job.State{running, queued}, running},
		{[]job.State{queued, retrying}, running},
		{[]job.State{succeeded, queued}, running},
		{[]job.State{dead, queued}, running},
		{[]job.State{queued, gone}, running},
		{[]job.State{dead, retrying}, running},
		{[]job.State{succeeded}, succeeded},
		{[]job.State{succeeded, succeeded}, succeeded},
		{[]job.State{succeeded, dead}, dead},
		{[]job.State{gone, dead, succeeded}, dead},
		{[]job.State{gone, succeeded}, gone},
	} {
		j := tasks(c.tasks...)
		if got := j.State(); got != c.want {
			t.Errorf("of %v: %s, want %s", c.tasks, got, c.want)
		}
		ended := j.Ended()
		if want := c.want.Ended() && len(c.tasks) > 0; (ended != nil) != want {
			t.Errorf("of %v: ended at %v, want a time: %t", c.tasks, ended, want)
		}
		if last := start().Add(time.Duration(len(c.tasks)-1) * time.Second); ended != nil && !ended.Equal(last) {
			t.Errorf("of %v: ended at %v, want the last task's end, %v", c.tasks, ended, last)
		}
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	j := tasks(event.Succeeded, event.Dead)
	for _, c := range []struct {
		q    job.Query
		want bool
	}{
		{job.Query{}, true},
		{job.Query{State: event.Dead}, true},
		{job.Query{State: event.Succeeded}, false}, // a task's, not the job's
		{job.Query{Service: "notifier"}, true},
		{job.Query{Service: "imager"}, false},
		{job.Query{Type: event.UserCreated}, true},
		{job.Query{Type: event.ImageRequested}, false},
		{job.Query{State: event.Dead, Service: "mailer", Type: event.UserCreated}, true},
		{job.Query{State: event.Dead, Service: "imager", Type: event.UserCreated}, false},
	} {
		if got := c.q.Selects(j); got != c.want {
			t.Errorf("%+v selects: %t, want %t", c.q, got, c.want)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	e := &event.Envelope{ID: "j1", Type: event.UserCreated, Time: start()}
	j := job.New(e, "USERS", 12, []string{"mailer", "imager"})
	if j.ID != "j1" || j.Key != 12 || j.Stream != "USERS" || !j.Created.Equal(start()) || len(j.Tasks) != 2 {
		t.Fatalf("got %+v", j)
	}
	if m := j.Task("mailer"); m.State != event.Queued || m.Name != "welcome-email" || m.Entry != 12 {
		t.Errorf("the mailer's task is %+v, want it queued", m)
	}
	if m := j.Task("imager"); m.State != event.Dead || m.Error == "" || m.Ended == nil {
		t.Errorf("the imager does nothing for users, but its task is %+v, want it dead", m)
	}
	if j.Task("tasker") != nil {
		t.Error("has a task that nobody asked for")
	}
}

func TestAskedOnlyRaisesTheGeneration(t *testing.T) {
	t.Parallel()
	dead := job.Task{Service: "mailer", Name: "welcome-email", State: event.Dead, Generation: 1, Claim: 3, Error: "no", Entry: 5, Message: 6, Revision: 7}
	if got, news := job.Asked(dead, 6, 1); news || !reflect.DeepEqual(got, dead) {
		t.Errorf("the same message again: %+v, news %t", got, news)
	}
	if got, news := job.Asked(dead, 9, 0); !news || got.State != event.Dead || got.Generation != 1 || got.Message != 9 {
		t.Errorf("a later message of an earlier generation: %+v, news %t", got, news)
	}
	got, news := job.Asked(dead, 9, 2)
	want := job.Task{Service: "mailer", Name: "welcome-email", State: event.Queued, Generation: 2, Entry: 5, Message: 9, Revision: 7}
	if !news || !reflect.DeepEqual(got, want) {
		t.Errorf("a redrive: %+v, news %t, want %+v", got, news, want)
	}
}

// full is a job with every field set.
func full() *job.Job {
	at := start()
	due, ended := at.Add(time.Minute), at.Add(2*time.Second)
	return &job.Job{
		ID: "0197f000-0000-7000-8000-000000000001", Type: event.UserCreated, Key: 1751000000000001, Stream: "USERS", Created: at,
		Tasks: []job.Task{
			{
				Service: "mailer", Name: "welcome-email", State: event.Succeeded, Generation: 1, Claim: 3, Attempt: 2, Due: &due,
				Progress: &event.Progress{Percent: 50, Note: "half"}, Result: json.RawMessage(`{"to":"a@example.org"}`), Error: "timed out",
				Started: &at, Ended: &ended, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
				Steps: []event.Step{{Attempt: 1, State: event.Retrying, At: at, Error: "timed out"}},
				Entry: 1751000000000001, Message: 41, Revision: 97, Touched: ended,
			},
			{Service: "notifier", State: event.Queued},
		},
	}
}

// A row that an older version wrote must still be read: fields are added, never renamed.
func TestRowGolden(t *testing.T) {
	t.Parallel()
	const path = "testdata/job.golden.json"
	got, err := json.MarshalIndent(full(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("written as\n%s\nwant\n%s", got, want)
	}
	var j job.Job
	if err := json.Unmarshal(want, &j); err != nil {
		t.Fatal(err)
	}
	var flat bytes.Buffer
	if err := json.Compact(&flat, j.Tasks[0].Result); err != nil {
		t.Fatal(err)
	}
	j.Tasks[0].Result = flat.Bytes()
	if !reflect.DeepEqual(&j, full()) {
		t.Errorf("read as %+v, want %+v", &j, full())
	}
}
