package event_test

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"handoff/shared/event"
)

const valid = `{"specversion":"1.0","id":"j1","source":"s","type":"task.requested","data":{"duration_ms":1}}`

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	with := func(old, replacement string) string {
		if !strings.Contains(valid, old) {
			t.Fatalf("%s is not in the valid event", old)
		}
		return strings.Replace(valid, old, replacement, 1)
	}
	tests := map[string]struct{ in, says string }{
		"nothing":                {"", "EOF"},
		"not JSON":               {"hello", "invalid character"},
		"cut short":              {valid[:40], "unexpected EOF"},
		"an array":               {"[]", "cannot unmarshal array"},
		"null":                   {"null", `specversion is ""`},
		"two values":             {valid + valid, "more than one JSON value"},
		"rubbish behind":         {valid + "x", "more than one JSON value"},
		"no specversion":         {with(`"specversion":"1.0",`, ""), `specversion is "", want "1.0"`},
		"another specversion":    {with("1.0", "0.3"), `specversion is "0.3"`},
		"no id":                  {with(`"id":"j1",`, ""), `id "" is not`},
		"an id with a dot":       {with("j1", "j.1"), `id "j.1" is not`},
		"an id that is no job":   {with("j1", "_open"), "no _ in front"},
		"an id too long":         {with("j1", strings.Repeat("a", 65)), "is not 1 to 64"},
		"an id that is a number": {with(`"j1"`, "1"), "cannot unmarshal number"},
		"no source":              {with(`"source":"s",`, ""), "source is missing"},
		"no type":                {with(`"type":"task.requested",`, ""), `type "" is not`},
		"another type":           {with("task.requested", "task.done"), `type "task.done" is not`},
		"a type with a suffix":   {with("task.requested", "task.requested.x"), "is not one of ours"},
		"no data":                {with(`,"data":{"duration_ms":1}`, ""), "data is missing"},
		"null data":              {with(`{"duration_ms":1}`, "null"), "data is missing"},
		"a bad time":             {with(`"source"`, `"time":"yesterday","source"`), "parsing time"},
		"a bad due":              {with(`"source"`, `"due":"soon","source"`), "parsing time"},
		"an empty task":          {with(`"source"`, `"tasks":"mailer,","source"`), `tasks "mailer," is not a list`},
		"a task with a space":    {with(`"source"`, `"tasks":"mailer, notifier","source"`), "is not a list"},
		"an upper-case task":     {with(`"source"`, `"tasks":"Mailer","source"`), "is not a list"},
		"a task twice":           {with(`"source"`, `"tasks":"a,b,a","source"`), "names a twice"},
		"tasks as an array":      {with(`"source"`, `"tasks":["mailer"],"source"`), "cannot unmarshal array"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := event.Decode([]byte(tt.in))
			if e != nil || !errors.Is(err, event.ErrUndecodable) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, %v; want an undecodable event that says %q", e, err, tt.says)
			}
			if err != nil && len(err.Error()) > 300 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
	if _, err := event.Decode([]byte(valid + " \n")); err != nil {
		t.Errorf("the valid event: %v", err)
	}
}

func TestDecodeDataSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	refused := func(typ event.Type, data, says string, decode func(*event.Envelope) error) {
		t.Helper()
		err := decode(&event.Envelope{Type: typ, Data: []byte(data)})
		if !errors.Is(err, event.ErrUndecodable) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s %s: got %v, want it to say %q", typ, data, err, says)
		}
	}
	user := decodeData[event.UserCreatedData]
	refused(event.TaskRequested, `{}`, "type is task.requested, want user.created", user)
	refused(event.UserCreated, `[]`, "data: json", user)
	refused(event.UserCreated, `{"user_id":"a.b","email":"e","username":"u"}`, `user_id "a.b"`, user)
	refused(event.UserCreated, `{"user_id":"a","username":"u"}`, "email is missing", user)
	refused(event.UserCreated, `{"user_id":"a","email":"e"}`, "username is missing", user)
	image := decodeData[event.ImageRequestedData]
	refused(event.ImageRequested, `{"operations":["resize"]}`, "image_url is missing", image)
	refused(event.ImageRequested, `{"image_url":"u"}`, "operations is empty", image)
	refused(event.ImageRequested, `{"image_url":"u","operations":[null]}`, "an operation is a name", image)
	refused(event.ImageRequested, `{"image_url":"u","operations":[""]}`, "name is empty", image)
	refused(event.ImageRequested, `{"image_url":"u","operations":[{"name":""}]}`, `"name" is missing`, image)
	task := decodeData[event.TaskRequestedData]
	refused(event.TaskRequested, `{"duration_ms":-1}`, "duration_ms is -1", task)
	refused(event.TaskRequested, `{"duration_ms":3600001}`, "want 0 to 3600000", task)
	// So many milliseconds are 0.4 ms once they have overflowed as nanoseconds.
	refused(event.TaskRequested, `{"duration_ms":18446744073710}`, "want 0 to 3600000", task)
	refused(event.TaskRequested, `{"duration_ms":"1s"}`, "cannot unmarshal string", task)
	finished := decodeData[event.JobFinishedData]
	refused(event.JobFinished, `{"callback_url":"u"}`, `job_id ""`, finished)
	refused(event.JobFinished, `{"job_id":"j"}`, "callback_url is missing", finished)
}

// A later major version of a payload may mean something else; a later minor one only says more.
func TestDecodeDataKnowsItsMajorVersion(t *testing.T) {
	t.Parallel()
	for version, known := range map[string]bool{"": true, "1": true, "1.9": true, "2": false, "2.0": false, "10": false, "0": false, "x": false, "1x": false} {
		e := mustNew(t, job, userData(), "mailer")
		e.DataVersion = version
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		read, err := event.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := decodeData[event.UserCreatedData](read); (err == nil) != known || err != nil && !errors.Is(err, event.ErrUndecodable) {
			t.Errorf("dataversion %q: %v", version, err)
		}
	}
}

func decodeData[P event.Payload](e *event.Envelope) error {
	_, err := event.DecodeData[P](e)
	return err
}

func TestServicesAndKey(t *testing.T) {
	t.Parallel()
	e := mustNew(t, job, userData(), "mailer", "notifier")
	if got := e.Services(); !slices.Equal(got, []string{"mailer", "notifier"}) {
		t.Errorf("services are %v", got)
	}
	if got := mustNew(t, job, userData()).Services(); got != nil {
		t.Errorf("services of an event that names nobody are %v", got)
	}
	first := event.Event[event.UserCreatedData]{Envelope: *e, Service: "mailer", Attempt: 1}
	later := event.Event[event.UserCreatedData]{Envelope: *e, Service: "mailer", Attempt: 7}
	other := event.Event[event.UserCreatedData]{Envelope: *e, Service: "notifier", Attempt: 1}
	if first.Key() != later.Key() || first.Key() == other.Key() || first.Key() != event.Key(job, "mailer") {
		t.Errorf("keys are %s, %s, %s", first.Key(), later.Key(), other.Key())
	}
}

func TestValidNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in          string
		id, service bool
	}{
		{"", false, false}, {"a", true, true}, {"A", true, false}, {"a.b", false, false}, {"a b", false, false},
		{"a*", false, false}, {">", false, false}, {"é", false, false}, {"a\x00", false, false}, {"_a", false, true},
		{"a_-9", true, true}, {"-a", true, true},
		{strings.Repeat("a", 32), true, true}, {strings.Repeat("a", 33), true, false},
		{strings.Repeat("a", 64), true, false}, {strings.Repeat("a", 65), false, false},
	}
	for _, tt := range tests {
		if event.ValidID(tt.in) != tt.id || event.ValidService(tt.in) != tt.service {
			t.Errorf("%q: id %v, service %v", tt.in, event.ValidID(tt.in), event.ValidService(tt.in))
		}
	}
}

// What every binary has to agree on should not change with somebody else's release.
func TestImportsOnlyTheStandardLibrary(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(string(out)); !slices.Equal(got, []string{"handoff/shared/event"}) {
		t.Errorf("not of the standard library: %v", got)
	}
}
