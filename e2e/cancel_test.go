package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"handoff/e2e/internal/house"
)

// cancel cancels a job and checks what is answered.
func cancel(t *testing.T, s *house.Site, id string) {
	t.Helper()
	var a house.Accepted
	answer := s.Post("/jobs/"+id+"/cancel", "").Is(http.StatusAccepted).JSON(&a)
	if at := "/jobs/" + id; a.JobID != id || a.Status != "cancelled" || a.StatusURL != at || answer.Header.Get("Location") != at {
		t.Errorf("the answer is %s, at %s", answer.Body, answer.Header.Get("Location"))
	}
}

// never checks that a job stays cancelled and was not done, once another of its service has been.
func never(t *testing.T, s *house.Site, id string) {
	t.Helper()
	s.AwaitState(s.Request("/async-task/", `{"duration_seconds":0}`).JobID, "succeeded")
	j := s.Job(id)
	if task := j.Tasks[0]; j.State != "cancelled" || task.State != "cancelled" || task.Attempt != 0 || task.EndedAt.IsZero() {
		t.Errorf("the job is %+v", j)
	}
}

// awaitRecord waits until a service's bucket says that a job is cancelled.
func awaitRecord(t *testing.T, s *house.Site, service, id string) {
	t.Helper()
	_, js := connect(t, s)
	house.Eventually(t, "a record that is cancelled", func() error {
		kv, err := js.KeyValue(t.Context(), "JOBS_"+service)
		if err != nil {
			return err
		}
		e, err := kv.Get(t.Context(), id)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(string(e.Value()), `{"state":"cancelled"`) {
			return fmt.Errorf("it is %s", e.Value())
		}
		return nil
	})
}

// What is cancelled while its service is stopped is not done when the service is back.
func TestCancelledWhileItsServiceIsStopped(t *testing.T) {
	t.Parallel()
	s := home(t).Apart(t).Start()
	s.Program("tasker").Stop()
	id := s.Request("/async-task/", `{"duration_seconds":0}`).JobID
	other := s.Request("/async-task/", `{"duration_seconds":0}`).JobID
	cancel(t, s, id)
	s.Post("/jobs/"+id+"/cancel/", "").Is(http.StatusConflict)
	s.Post("/jobs/none/cancel", "").Is(http.StatusNotFound)
	awaitRecord(t, s, "tasker", id)
	s.Program("tasker").Start()
	s.AwaitState(other, "succeeded")
	s.Post("/jobs/"+other+"/cancel", "").Is(http.StatusConflict)
	never(t, s, id)
}

// What is cancelled while it runs is broken off: the far side sees its request end.
func TestCancelledWhileItRuns(t *testing.T) {
	t.Parallel()
	source := newSource(t)
	s := home(t).Together(t, "IMAGE_ALLOW="+source.addr).Start()
	source.block()
	id := s.Picture(source.url, `["resize"]`)
	house.Eventually(t, "a request for the picture", func() error { return source.asked(1, 0) })
	cancel(t, s, id)
	house.Eventually(t, "the end of the request", func() error { return source.asked(1, 1) })
	source.open()
	awaitRecord(t, s, "imager", id)
	j := s.AwaitState(id, "cancelled")
	if task := j.Tasks[0]; task.State != "cancelled" || task.Error == "" {
		t.Errorf("the task does not say that it had begun: %+v", task)
	}
	house.Eventually(t, "an attempt that is shown", func() error {
		if task := s.Job(id).Tasks[0]; task.Attempt != 1 {
			return fmt.Errorf("the task is %+v", task)
		}
		return nil
	})
	s.Get("/jobs/" + id + "/result").Is(http.StatusConflict)
	s.AwaitState(s.Picture(source.url, `["resize"]`), "succeeded") // its slot is free
}

// A cancel that was answered while NATS is away holds, also when the api is killed right after.
func TestCancelledWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	slow(t)
	s := home(t).Apart(t).Start()
	s.Program("tasker").Stop()
	relayed := s.Request("/async-task/", `{"duration_seconds":0}`).JobID
	house.Eventually(t, "a message", func() error { return inStream(t, s, "TASKS", 1) })
	s.Program(house.NATSServer).Kill()
	kept := s.Request("/async-task/", `{"duration_seconds":0}`).JobID
	cancel(t, s, relayed)
	cancel(t, s, kept)
	s.Program("api").Kill()
	s.Program("api").Start()
	s.Program(house.NATSServer).Start()
	house.Eventually(t, "NATS", func() error {
		nc, err := nats.Connect(s.NATSURL)
		if err == nil {
			nc.Close()
		}
		return err
	})
	awaitRecord(t, s, "tasker", relayed)
	awaitRecord(t, s, "tasker", kept)
	s.Program("tasker").Start()
	s.AwaitReady()
	never(t, s, relayed)
	never(t, s, kept)
}

// The job of one task that has ended and one that is cancelled is cancelled, and the first shows as it was done.
func TestCancelLeavesWhatHasEnded(t *testing.T) {
	t.Parallel()
	s := home(t).Apart(t).Start()
	s.Program("notifier").Stop()
	id := s.Register("/users/with-notifications/").JobID
	house.Eventually(t, "the mail", func() error {
		if task := s.Job(id).Tasks[0]; task.State != "succeeded" {
			return fmt.Errorf("its task is %+v", task)
		}
		return nil
	})
	cancel(t, s, id)
	if j := s.Job(id); j.State != "cancelled" || j.Tasks[0].State != "succeeded" || j.Tasks[1].State != "cancelled" {
		t.Errorf("the job is %+v", j)
	}
}

// After api.db was deleted the bucket tells what was cancelled.
func TestCancelledIsKnownWithoutTheStore(t *testing.T) {
	t.Parallel()
	slow(t)
	s := home(t).Apart(t).Start()
	s.Program("tasker").Stop()
	other := s.Request("/async-task/", `{"duration_seconds":0}`).JobID // keeps the event behind it in the stream
	id := s.Request("/async-task/", `{"duration_seconds":0}`).JobID
	house.Eventually(t, "both events", func() error { return inStream(t, s, "TASKS", 2) })
	cancel(t, s, id)
	awaitRecord(t, s, "tasker", id)
	api := s.Program("api")
	api.Kill()
	if err := os.Remove(filepath.Join(s.Dir, "api.db")); err != nil {
		t.Fatal(err)
	}
	api.Start()
	s.Program("tasker").Start()
	s.AwaitReady()
	s.AwaitState(other, "succeeded")
	never(t, s, id)
}

// inStream is nil when a stream holds so many messages.
func inStream(t *testing.T, s *house.Site, stream string, messages uint64) error {
	t.Helper()
	_, js := connect(t, s)
	st, err := js.Stream(t.Context(), stream)
	if err != nil {
		return err
	}
	if n := st.CachedInfo().State.Msgs; n != messages {
		return fmt.Errorf("it holds %d", n)
	}
	return nil
}
