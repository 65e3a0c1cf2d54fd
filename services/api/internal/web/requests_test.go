package web_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"handoff/shared/event"
)

func TestProcessImageAcceptsTheJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(t)
	const body = `{"image_url":"https://example.org:8443/a%20b.jpg?x=1","operations":["resize",{"name":"compress","quality":80},{"name":"watermark"}]}`
	for i, path := range []string{"/process-image/", "/process-image"} {
		id := fmt.Sprintf("job-%d", i+1)
		a := c.post(path, body).is(202).has("Location", "/jobs/"+id)
		want := `{"job_id":"` + id + `","status":"queued","status_url":"/jobs/` + id + `","message":"The picture will be processed in the background."}` + "\n"
		if string(a.body) != want {
			t.Errorf("body is %s, want %s", a.body, want)
		}
	}
	want := event.ImageRequestedData{ImageURL: "https://example.org:8443/a%20b.jpg?x=1", Operations: []event.Operation{
		{Name: "resize"}, {Name: "compress", Options: json.RawMessage(`{"name":"compress","quality":80}`)}, {Name: "watermark"},
	}}
	if !reflect.DeepEqual(w.accepts.payloads[0], want) {
		t.Errorf("accepted %+v, want %+v", w.accepts.payloads[0], want)
	}
}

func TestBadImageRequestsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(t)
	withURL := func(u string) string {
		b, err := json.Marshal(map[string]any{"image_url": u, "operations": []string{"resize"}})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	withOps := func(ops string) string { return `{"image_url":"http://example.org/a.jpg","operations":` + ops + `}` }
	for name, tt := range map[string]struct{ body, location, says string }{
		"no list":              {withOps(`"resize"`), "body.operations", "array"},
		"null list":            {withOps(`null`), "body.operations", "array"},
		"empty list":           {withOps(`[]`), "body.operations", "length"},
		"too many":             {withOps(`["resize"` + strings.Repeat(`,"resize"`, 16) + `]`), "body.operations", "length"},
		"unknown":              {withOps(`["resize","rotate"]`), "body.operations[1]", "resize, compress, watermark"},
		"unknown with options": {withOps(`[{"name":"rotate","by":90}]`), "body.operations[0]", "resize, compress, watermark"},
		"other case":           {withOps(`["Resize"]`), "body.operations[0]", "resize, compress, watermark"},
		"empty name":           {withOps(`[""]`), "body.operations[0]", "operation"},
		"number":               {withOps(`[7]`), "body.operations[0]", "object"},
		"null":                 {withOps(`[null]`), "body.operations[0]", "operation"},
		"list":                 {withOps(`[["resize"]]`), "body.operations[0]", "object"},
		"nameless":             {withOps(`[{"width":5}]`), "body.operations[0]", "name"},
		"name of another type": {withOps(`[{"name":5}]`), "body.operations[0]", "name"},
		"twice":                {withOps(`["resize",{"name":"resize","width":5}]`), "body.operations[1]", "twice"},
		"operations missing":   {`{"image_url":"http://example.org/a.jpg"}`, "body", "operations"},
		"URL missing":          {`{"operations":["resize"]}`, "body", "image_url"},
		"empty URL":            {withURL(""), "body.image_url", "length"},
		"relative URL":         {withURL("/a.jpg"), "body.image_url", "http"},
		"file URL":             {withURL("file:///etc/passwd"), "body.image_url", "http"},
		"FTP":                  {withURL("ftp://example.org/a.jpg"), "body.image_url", "http"},
		"no host":              {withURL("http:///a.jpg"), "body.image_url", "host"},
		"only a port":          {withURL("http://:80/a.jpg"), "body.image_url", "host"},
		"credentials":          {withURL("http://ada:secret@example.org/a.jpg"), "body.image_url", "credentials"},
		"not a URL":            {withURL("http://exa mple.org/"), "body.image_url", "URL"},
		"line break":           {withURL("http://example.org/\r\nHost: x"), "body.image_url", "URL"},
		"too long":             {withURL("http://example.org/" + strings.Repeat("a", 2048)), "body.image_url", "length"},
		"too long in bytes":    {withURL("http://example.org/" + strings.Repeat("ä", 1500)), "body.image_url", "2048"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := c.with(t).post("/process-image/", tt.body).problem(422)
			if len(p.Errors) != 1 || p.Errors[0].Location != tt.location || !strings.Contains(p.Errors[0].Message, tt.says) {
				t.Errorf("errors are %+v, want one at %s that says %q", p.Errors, tt.location, tt.says)
			}
		})
	}
	t.Cleanup(func() {
		if len(w.accepts.payloads) > 0 {
			t.Errorf("accepted: %+v", w.accepts.payloads)
		}
	})
}

func TestAsyncTaskAcceptsTheJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(t)
	for body, ms := range map[string]int64{
		``: 3000, `{}`: 3000, `{"duration_seconds":0}`: 0, `{"duration_seconds":60}`: 60_000, `{"duration_seconds":0.25}`: 250,
	} {
		for _, path := range []string{"/async-task/", "/async-task"} {
			a := c.post(path, body).is(202)
			if a.header.Get("Location") == "" || !strings.Contains(string(a.body), `"status":"queued"`) {
				t.Errorf("%q: %v %s", body, a.header, a.body)
			}
			if got := w.accepts.payloads[len(w.accepts.payloads)-1]; got != (event.TaskRequestedData{DurationMS: ms}) {
				t.Errorf("%q: accepted %+v, want %d ms", body, got, ms)
			}
		}
	}
	for _, body := range []string{`{"duration_seconds":-1}`, `{"duration_seconds":61}`, `{"duration_seconds":"3"}`, `{"seconds":3}`, `[]`} {
		c.post("/async-task/", body).problem(422)
	}
	c.post("/async-task/", `{`).problem(400)
}

func TestSyncTaskAnswersWhenItIsDone(t *testing.T) {
	t.Parallel()
	c := newWorld(t).start(t)
	for _, path := range []string{"/sync-task/", "/sync-task"} {
		if a := c.post(path, "").is(200); !strings.HasPrefix(string(a.body), `{"message":"`) {
			t.Errorf("body is %s", a.body)
		}
	}
}
