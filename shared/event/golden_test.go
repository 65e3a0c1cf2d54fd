package event_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"handoff/shared/event"
)

// The golden files are a contract between binaries of different ages. -update writes new ones; a file that was released
// is never changed, its binaries are still out there.
var update = flag.Bool("update", false, "write the golden files that are missing or differ")

const (
	job  = "0199f3a5-7c00-7a31-8d5e-2f6b1c9d4e10"
	user = "0199f3a5-7c00-7a32-9b1f-6a0d5e4c3b21"
	tp   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

func at(second int) time.Time { return time.Date(2026, 3, 14, 15, 9, second, 123456000, time.UTC) }

func ptr[T any](v T) *T { return &v }

func mustNew[P event.Payload](t *testing.T, id string, p P, services ...string) *event.Envelope {
	t.Helper()
	e, err := event.New(id, at(26), p, services...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// full adds every optional extension.
func full(e *event.Envelope) *event.Envelope {
	e.Tenant, e.Schedule, e.TraceParent = "acme", "nightly", tp
	e.Due, e.NotAfter = ptr(at(30)), ptr(at(59))
	e.CallbackURL = "https://example.com/done?a=1&b=<2>"
	e.IdempotencyHash, e.BodyHash = "9f86d081884c7d65", "2c26b46b68ffc68f"
	return e
}

func userData() event.UserCreatedData {
	return event.UserCreatedData{UserID: user, Email: "ada@example.com", Username: "Ada & Zoë <ü>"}
}

func imageData() event.ImageRequestedData {
	return event.ImageRequestedData{ImageURL: "https://example.com/a.jpg?x=1&y=2", Operations: []event.Operation{
		{Name: "resize", Options: json.RawMessage(`{"name":"resize","width":640,"height":480}`)},
		{Name: "compress"},
		{Name: "watermark", Options: json.RawMessage(`{"name":"watermark","text":"© 2026"}`)},
	}}
}

func finishedData() event.JobFinishedData {
	return event.JobFinishedData{
		JobID: job, Type: event.UserCreated, State: "dead", CallbackURL: "https://example.com/done",
		Tasks: []event.FinishedTask{
			{Service: "mailer", State: event.Succeeded, Result: json.RawMessage(`{"message_id":"x@localhost"}`)},
			{Service: "notifier", State: event.Dead, Error: "429 Too Many Requests"},
		},
	}
}

func goldenEvents(t *testing.T) map[string]*event.Envelope {
	localised := userData()
	localised.Locale = "de-AT"
	return map[string]*event.Envelope{
		"user.created":         mustNew(t, job, userData()),
		"user.created.full":    full(mustNew(t, job, localised, "mailer", "notifier")),
		"image.requested":      mustNew(t, job, event.ImageRequestedData{ImageURL: "http://127.0.0.1:8000/a.png", Operations: []event.Operation{{Name: "resize"}}}),
		"image.requested.full": full(mustNew(t, job, imageData(), "imager")),
		"task.requested":       mustNew(t, job, event.TaskRequestedData{}),
		"task.requested.full":  full(mustNew(t, job, event.TaskRequestedData{DurationMS: 3000}, "tasker")),
		"job.finished":         mustNew(t, job+"-finished-0", event.JobFinishedData{JobID: job, Type: event.TaskRequested, State: "succeeded", Tasks: []event.FinishedTask{{Service: "tasker", State: event.Succeeded}}, CallbackURL: "https://example.com/done"}),
		"job.finished.full":    full(mustNew(t, job+"-finished-3", finishedData(), "notifier")),
	}
}

func goldenRecords() map[string]*event.Record {
	begun := func(state event.State, attempt int) event.Record {
		return event.Record{State: state, Claim: attempt, Attempt: attempt, Holder: "b1946ac92492d234", Started: ptr(at(27)), TraceParent: tp}
	}
	step := func(attempt int, s event.State, second int, e string) event.Step {
		return event.Step{Attempt: attempt, State: s, At: at(second), Error: e}
	}
	running := begun(event.Running, 1)
	running.Progress = &event.Progress{Percent: 37.5, Note: "resizing <a>"}
	running.Steps = []event.Step{step(1, event.Running, 27, "")}

	retrying := begun(event.Retrying, 2)
	retrying.Due, retrying.Error = ptr(at(50)), "connect to smtp.example.com: refused"
	retrying.Steps = []event.Step{step(1, event.Running, 27, ""), step(1, event.Retrying, 28, "timeout"), step(2, event.Running, 40, ""), step(2, event.Retrying, 41, retrying.Error)}

	succeeded := begun(event.Succeeded, 1)
	succeeded.Ended, succeeded.Result = ptr(at(29)), json.RawMessage(`{"key":"a","bytes":81234}`)
	succeeded.Progress = &event.Progress{Percent: 100}
	succeeded.Steps = []event.Step{step(1, event.Running, 27, ""), step(1, event.Succeeded, 29, "")}

	dead := begun(event.Dead, 8)
	dead.Generation, dead.Ended, dead.Error = 2, ptr(at(55)), "550 no such user"
	for i := range event.MaxSteps / 2 {
		dead.Steps = append(dead.Steps, step(i+1, event.Running, 30+2*i, ""), step(i+1, event.Retrying, 31+2*i, "451 try again"))
	}
	dead.Steps[event.MaxSteps-1] = step(8, event.Dead, 55, dead.Error)

	released := begun(event.Retrying, 1)
	released.Released, released.Due = true, ptr(at(33))
	released.Steps = []event.Step{step(1, event.Running, 27, ""), step(1, event.Retrying, 33, "")}

	return map[string]*event.Record{
		"running": &running, "retrying": &retrying, "succeeded": &succeeded, "dead": &dead, "released": &released,
		"cancelled": {State: event.Cancelled, Generation: 1, Ended: ptr(at(29))},
		"least":     {State: event.Running},
	}
}

// golden gives the bytes of a file, which ends with a newline for people's sake; with -update it writes got first.
func golden(t *testing.T, dir, name string, got []byte) []byte {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", dir, name+".json"), append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return read(t, dir, name)
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", dir, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.TrimSuffix(string(b), "\n"))
}

// all gives the names of the golden files of a folder, without their endings.
func all(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in %s: %v", dir, err)
	}
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	return names
}

func TestGoldenEvents(t *testing.T) {
	t.Parallel()
	values := goldenEvents(t)
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := value.Encode()
			if err != nil {
				t.Fatal(err)
			}
			want := golden(t, "event", name, got)
			if string(got) != string(want) {
				t.Errorf("encoded:\n%s\nwant the file:\n%s", got, want)
			}
			back, err := event.Decode(want)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, value) {
				t.Errorf("decoded:\n%+v\nwant:\n%+v", back, value)
			}
		})
	}
	for _, name := range all(t, "event") {
		if values[name] == nil {
			t.Errorf("no test reads the file %s", name)
		}
	}
}

func TestGoldenRecords(t *testing.T) {
	t.Parallel()
	values := goldenRecords()
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := value.Encode()
			if err != nil {
				t.Fatal(err)
			}
			want := golden(t, "record", name, got)
			if string(got) != string(want) {
				t.Errorf("encoded:\n%s\nwant the file:\n%s", got, want)
			}
			back, err := event.DecodeRecord(want)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, value) {
				t.Errorf("decoded:\n%+v\nwant:\n%+v", back, value)
			}
		})
	}
	for _, name := range all(t, "record") {
		if values[name] == nil {
			t.Errorf("no test reads the file %s", name)
		}
	}
}

func TestGoldenPayloads(t *testing.T) {
	t.Parallel()
	localised := userData()
	localised.Locale = "de-AT"
	checkData(t, "user.created", userData())
	checkData(t, "user.created.full", localised)
	checkData(t, "image.requested.full", imageData())
	checkData(t, "task.requested", event.TaskRequestedData{})
	checkData(t, "task.requested.full", event.TaskRequestedData{DurationMS: 3000})
	checkData(t, "job.finished.full", finishedData())
}

func checkData[P event.Payload](t *testing.T, name string, want P) {
	t.Helper()
	e, err := event.Decode(read(t, "event", name))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := event.DecodeData[P](e); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: data is %+v, %v; want %+v", name, got, err, want)
	}
}

// Files under testdata/old were written by others: by hand, by an older binary, by a newer one with fields of its own.
func TestReadsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	readers := map[string]func(t *testing.T, b []byte){
		"event-by-hand": func(t *testing.T, b []byte) {
			e, d := decodeAs[event.UserCreatedData](t, b)
			if e.ID != "by-hand_1" || e.Services() != nil || !e.Time.IsZero() || d.Email != "ada@example.com" {
				t.Errorf("got %+v, %+v", e, d)
			}
		},
		"event-newer": func(t *testing.T, b []byte) {
			e, d := decodeAs[event.TaskRequestedData](t, b)
			if e.Tenant != "acme" || d.DurationMS != 1500 {
				t.Errorf("got %+v, %+v", e, d)
			}
		},
		"event-bare-operations": func(t *testing.T, b []byte) {
			_, d := decodeAs[event.ImageRequestedData](t, b)
			if len(d.Operations) != 2 || d.Operations[0].Name != "resize" || d.Operations[1].Options == nil {
				t.Errorf("got %+v", d)
			}
		},
		"record-newer": func(t *testing.T, b []byte) {
			r, err := event.DecodeRecord(b)
			if err != nil {
				t.Fatal(err)
			}
			if r.State != event.Retrying || r.Attempt != 3 || len(r.Steps) != 1 || r.Steps[0].Error != "x" {
				t.Errorf("got %+v", r)
			}
		},
	}
	for _, name := range all(t, "old") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader, ok := readers[name]
			if !ok {
				t.Fatal("no test reads this file")
			}
			reader(t, read(t, "old", name))
		})
	}
}

func decodeAs[P event.Payload](t *testing.T, b []byte) (*event.Envelope, P) {
	t.Helper()
	e, err := event.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	d, err := event.DecodeData[P](e)
	if err != nil {
		t.Fatal(err)
	}
	return e, d
}
