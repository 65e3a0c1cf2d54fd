package stream_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"handoff/shared/event"
	"handoff/shared/stream"
)

// The document of the events is written by hand, and these tests hold it against the code.
const document = "../../docs/asyncapi.yaml"

func readDocument(t *testing.T) map[string]any {
	t.Helper()
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	if b, err = json.Marshal(doc); err != nil { // with JSON's types, which the schemas are about
		t.Fatal(err)
	}
	return decodeJSON(t, b).(map[string]any)
}

func decodeJSON(t *testing.T, b []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// at gives what lies under names in v.
func at(t *testing.T, v any, names ...string) any {
	t.Helper()
	for _, n := range names {
		m, ok := v.(map[string]any)
		if !ok || m[n] == nil {
			t.Fatalf("%s: there is no %s", document, strings.Join(names, "."))
		}
		v = m[n]
	}
	return v
}

// payload compiles the schema of a message's payload.
func payload(t *testing.T, doc map[string]any, message string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("asyncapi.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("asyncapi.json#/components/messages/" + message + "/payload")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheDocumentIsAsyncAPI(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/asyncapi-3.0.0.schema.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(z)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", schema); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc := readDocument(t)
	if err := s.Validate(doc); err != nil {
		t.Errorf("%s: %v", document, err)
	}
	delete(at(t, doc, "channels", "userCreated").(map[string]any), "address")
	at(t, doc, "channels", "userCreated").(map[string]any)["addr"] = "user.created"
	if s.Validate(doc) == nil {
		t.Error("a wrong document passes")
	}
}

// Every subject is in the document, and nothing else is.
func TestTheDocumentHasEverySubject(t *testing.T) {
	t.Parallel()
	want := []string{
		stream.RetrySubject("{service}", "{type}"), stream.DeadSubject("{service}", "{type}"),
		stream.LaterSubject("{type}"), stream.CancelSubject("{service}"), stream.RecordSubject("{service}", "{job}"), stream.RecordUsers,
	}
	doc := readDocument(t)
	byAddress := map[string]map[string]any{}
	for name, c := range at(t, doc, "channels").(map[string]any) {
		byAddress[at(t, c, "address").(string)] = at(t, doc, "channels", name).(map[string]any)
	}
	for _, r := range stream.Routes() {
		want = append(want, r.Subject)
		c := byAddress[r.Subject]
		if c == nil {
			continue
		}
		if ref := at(t, c, "messages", "event", "$ref").(string); at(t, doc, "components", "messages", filepath.Base(ref), "name") != string(r.Type) {
			t.Errorf("%s carries %s, want %s", r.Subject, ref, r.Type)
		}
		for _, service := range r.Services {
			if !strings.Contains(at(t, c, "description").(string), service) {
				t.Errorf("%s: it is not said that it asks the %s", r.Subject, service)
			}
		}
		if !strings.Contains(at(t, c, "description").(string), stream.ForType(r.Type)) {
			t.Errorf("%s: it is not said that it is in %s", r.Subject, stream.ForType(r.Type))
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(byAddress)); !slices.Equal(got, want) {
		t.Errorf("the document has\n%v, the code has\n%v", got, want)
	}
}

// Each schema has the fields of its Go type: no more, and no less.
func TestTheDocumentHasEveryField(t *testing.T) {
	t.Parallel()
	doc := readDocument(t)
	for name, v := range map[string]any{
		"envelope": event.Envelope{}, "userCreated": event.UserCreatedData{}, "imageRequested": event.ImageRequestedData{},
		"taskRequested": event.TaskRequestedData{}, "jobFinished": event.JobFinishedData{}, "finishedTask": event.FinishedTask{},
		"record": event.Record{}, "progress": event.Progress{}, "step": event.Step{}, "facts": event.UserFacts{}, "userFact": event.UserFact{},
		"cancel": event.Cancel{},
	} {
		var fields []string
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields = append(fields, name)
		}
		slices.Sort(fields)
		properties := slices.Sorted(maps.Keys(at(t, doc, "components", "schemas", name, "properties").(map[string]any)))
		if !slices.Equal(properties, fields) {
			t.Errorf("%s: the document has %v, the code has %v", name, properties, fields)
		}
	}
	states := []any{}
	for _, s := range []event.State{event.Queued, event.Running, event.Retrying, event.Succeeded, event.Dead, event.Cancelled} {
		states = append(states, string(s))
	}
	if got := at(t, doc, "components", "schemas", "state", "enum"); !reflect.DeepEqual(got, states) {
		t.Errorf("the states are %v, in the code %v", got, states)
	}
}

// messages lists the golden files of package event by the message that each is.
func messages(t *testing.T) map[string][]string {
	t.Helper()
	names := map[event.Type]string{
		event.UserCreated: "userCreated", event.ImageRequested: "imageRequested", event.TaskRequested: "taskRequested", event.JobFinished: "jobFinished",
	}
	all := map[string][]string{}
	for typ, name := range names {
		all[name] = glob(t, "event/"+string(typ)+"*.json")
	}
	all["record"], all["facts"] = glob(t, "record/*.json"), glob(t, "fact/*.json")
	return all
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob("../event/testdata/" + pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no %s (%v)", pattern, err)
	}
	return files
}

// What the code writes is as the document says.
func TestWhatIsWrittenIsAsDocumented(t *testing.T) {
	t.Parallel()
	doc := readDocument(t)
	for message, files := range messages(t) {
		s := payload(t, doc, message)
		for _, f := range files {
			if err := s.Validate(readJSON(t, f)); err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
}

func readJSON(t *testing.T, file string) any {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return decodeJSON(t, b)
}

// Without a field that the document requires an event is refused by the code, and without any other it is not.
func TestWhatIsRequiredIsRequired(t *testing.T) {
	t.Parallel()
	doc := readDocument(t)
	for message, files := range messages(t) {
		if message == "record" || message == "facts" {
			continue
		}
		s := payload(t, doc, message)
		for _, f := range files {
			whole := readJSON(t, f).(map[string]any)
			for _, part := range []map[string]any{whole, whole["data"].(map[string]any)} {
				for name, v := range maps.Clone(part) {
					delete(part, name)
					if documented, read := s.Validate(whole) == nil, decodes(t, whole); documented != read {
						t.Errorf("%s without %s: the document says that it is right: %t, the code: %t", f, name, documented, read)
					}
					part[name] = v
				}
			}
		}
	}
}

func decodes(t *testing.T, v any) bool {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Decode(b)
	if err != nil {
		return false
	}
	switch e.Type {
	case event.UserCreated:
		_, err = event.DecodeData[event.UserCreatedData](e)
	case event.ImageRequested:
		_, err = event.DecodeData[event.ImageRequestedData](e)
	case event.TaskRequested:
		_, err = event.DecodeData[event.TaskRequestedData](e)
	case event.JobFinished:
		_, err = event.DecodeData[event.JobFinishedData](e)
	}
	return err == nil
}
