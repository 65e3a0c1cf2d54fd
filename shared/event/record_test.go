package event_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"handoff/shared/event"
)

func TestOperationJSON(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   string
		want event.Operation
		out  string
	}{
		"a name":          {`"resize"`, event.Operation{Name: "resize"}, `{"name":"resize"}`},
		"an object":       {`{"name":"resize"}`, event.Operation{Name: "resize"}, `{"name":"resize"}`},
		"with options":    {`{"width":5,"name":"resize"}`, event.Operation{Name: "resize", Options: json.RawMessage(`{"width":5,"name":"resize"}`)}, `{"width":5,"name":"resize"}`},
		"an escaped name": {`"re\u0073ize"`, event.Operation{Name: "resize"}, `{"name":"resize"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got event.Operation
			if err := json.Unmarshal([]byte(tt.in), &got); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, tt.want)
			}
			if b, err := json.Marshal(got); err != nil || string(b) != tt.out {
				t.Errorf("encoded as %s, %v; want %s", b, err, tt.out)
			}
		})
	}
	for _, in := range []string{`""`, `null`, `1`, `true`, `[]`, `{}`, `{"name":""}`, `{"name":null}`, `{"name":1}`, `{"Name":"x"}`} {
		op := event.Operation{Name: "before"}
		if err := json.Unmarshal([]byte(in), &op); err == nil {
			t.Errorf("%s was read as %+v", in, op)
		} else if !strings.Contains(err.Error(), "an operation") {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestOperationKeepsItsOptionsWhenTheSourceIsReused(t *testing.T) {
	t.Parallel()
	b := []byte(`{"name":"resize","width":5}`)
	var op event.Operation
	if err := op.UnmarshalJSON(b); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if string(op.Options) != `{"name":"resize","width":5}` {
		t.Errorf("options are %q", op.Options)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		n    int
		want string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abcd", 3, "…"}, {"abcde", 4, "a…"}, {"abc", 2, "ab"}, {"abc", 0, ""}, {"é", 1, ""},
		{"aé€😀", 10, "aé€😀"}, {"aé€😀", 9, "aé€…"}, {"aé€😀", 8, "aé…"}, {"aé€😀", 5, "a…"}, {"abc", -1, ""},
		{"a\xffb", 10, "a\uFFFDb"}, {"\xff\xfe", 3, "\uFFFD"}, {"a\xf0\x9f", 3, "…"},
	}
	for _, tt := range tests {
		if got := event.Cut(tt.in, tt.n); got != tt.want {
			t.Errorf("Cut(%q, %d) is %q, want %q", tt.in, tt.n, got, tt.want)
		}
	}
	for n := range 40 {
		got := event.Cut(strings.Repeat("aé€😀\xff", 4), n)
		if len(got) > n || !utf8.ValidString(got) {
			t.Errorf("cut to %d: %q", n, got)
		}
	}
}

func TestAddStepKeepsTheLast(t *testing.T) {
	t.Parallel()
	var r event.Record
	vienna := time.FixedZone("CET", 3600)
	for i := range 3 * event.MaxSteps {
		r.State, r.Attempt = event.Retrying, i+1
		before := r.Steps
		saved := fmt.Sprint(before)
		r.AddStep(at(i).In(vienna), strings.Repeat("é", 400))
		if fmt.Sprint(before) != saved {
			t.Fatalf("step %d changed the slice that was there", i)
		}
		if want := min(i+1, event.MaxSteps); len(r.Steps) != want {
			t.Fatalf("after %d steps there are %d, want %d", i+1, len(r.Steps), want)
		}
	}
	first, last := r.Steps[0], r.Steps[event.MaxSteps-1]
	if first.Attempt != 2*event.MaxSteps+1 || last.Attempt != 3*event.MaxSteps {
		t.Errorf("kept the attempts %d to %d", first.Attempt, last.Attempt)
	}
	if last.At.Location() != time.UTC || !last.At.Equal(at(3*event.MaxSteps-1)) {
		t.Errorf("the last is at %s", last.At)
	}
	b, err := r.Encode()
	if err != nil || len(b) > 6<<10 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	shared := event.Record{State: event.Running, Steps: make([]event.Step, 1, 8)}
	one, two := shared, shared
	one.AddStep(at(1), "one")
	two.AddStep(at(2), "two")
	if one.Steps[1].Error != "one" || two.Steps[1].Error != "two" {
		t.Error("two records wrote to one array")
	}
}

func TestDecodeRecordRefuses(t *testing.T) {
	t.Parallel()
	for in, says := range map[string]string{
		"":                                  "unexpected end",
		"1":                                 "cannot unmarshal number",
		"null":                              `state "" is not`,
		"{}":                                `state "" is not`,
		`{"state":"queued"}`:                `state "queued" is not`,
		`{"state":"Running"}`:               `state "Running" is not`,
		`{"state":"running"}{}`:             "invalid character",
		`{"state":"running","attempt":"1"}`: "cannot unmarshal string",
	} {
		r, err := event.DecodeRecord([]byte(in))
		if r != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, %v; want it to say %q", in, r, err, says)
		}
	}
}

func TestEnded(t *testing.T) {
	t.Parallel()
	for state, want := range map[event.State]bool{
		event.Queued: false, event.Running: false, event.Retrying: false, "": false,
		event.Succeeded: true, event.Dead: true, event.Cancelled: true,
	} {
		if state.Ended() != want {
			t.Errorf("%q ended: %v", state, !want)
		}
	}
}
