package web_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestOpenAPIDocumentIsAsAgreed(t *testing.T) {
	t.Parallel()
	const golden = "testdata/openapi.json"
	c := newWorld(t).start(t)
	got := c.get("/openapi.json").is(200).has("Content-Type", "application/json").body
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the document differs from %s; if that is meant, run the tests with -update and look at the difference", golden)
	}
}

func TestEveryOperationIsDocumented(t *testing.T) {
	t.Parallel()
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Summary, Description, OperationID string
			Tags                              []string
			Responses                         map[string]struct{ Description string }
		}
	}
	c := newWorld(t).start(t)
	if err := json.Unmarshal(c.get("/openapi.json").body, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version is %s", doc.OpenAPI)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.Summary == "" || op.OperationID == "" || len(op.Tags) != 1 || len(op.Responses) < 2 {
				t.Errorf("%s %s is not described: %+v", method, path, op)
			}
		}
	}
}
