package picture

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"handoff/shared/event"
)

func operations(t testing.TB, text string) []event.Operation {
	t.Helper()
	var ops []event.Operation
	if err := json.Unmarshal([]byte(text), &ops); err != nil {
		t.Fatal(err)
	}
	return ops
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ops  string
		want Plan
	}{
		{`["resize"]`, Plan{Resize: &Resize{Width: 1280, Height: 1280}}},
		{`[{"name":"resize","width":640}]`, Plan{Resize: &Resize{Width: 640, Height: math.MaxInt}}},
		{`[{"name":"resize","height":1}]`, Plan{Resize: &Resize{Width: math.MaxInt, Height: 1}}},
		{`[{"name":"resize","width":10000,"height":10000}]`, Plan{Resize: &Resize{Width: 10000, Height: 10000}}},
		{`["compress"]`, Plan{Compress: &Compress{Quality: 80}}},
		{`[{"name":"compress","quality":1}]`, Plan{Compress: &Compress{Quality: 1}}},
		{`["watermark"]`, Plan{Watermark: &Watermark{Text: "Handoff"}}},
		{`[{"name":"watermark","text":"© Žofie Παπα Иван"}]`, Plan{Watermark: &Watermark{Text: "© Žofie Παπα Иван"}}},
		{
			`["watermark","compress","resize"]`,
			Plan{Resize: &Resize{Width: 1280, Height: 1280}, Compress: &Compress{Quality: 80}, Watermark: &Watermark{Text: "Handoff"}},
		},
	} {
		t.Run(tt.ops, func(t *testing.T) {
			t.Parallel()
			ops := operations(t, tt.ops)
			got, err := Parse(ops)
			if err != nil {
				t.Fatal(err)
			}
			for i, name := range got.Names() {
				if name != ops[i].Name {
					t.Errorf("name %d is %s, want the order asked for", i, name)
				}
			}
			got.names = nil
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("plan is %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParseSaysWhatIsAllowed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ ops, want string }{
		{`[]`, "there are resize, compress and watermark"},
		{`["rotate"]`, "there are resize, compress and watermark"},
		{`["Resize"]`, "there are resize, compress and watermark"},
		{`["resize","compress","resize"]`, "resize is asked for twice"},
		{`[{"name":"resize","size":3}]`, "it has width and height"},
		{`[{"name":"resize","Width":3}]`, "it has width and height"},
		{`[{"name":"resize","width":0}]`, "a whole number from 1 to 10000"},
		{`[{"name":"resize","width":10001}]`, "a whole number from 1 to 10000"},
		{`[{"name":"resize","width":64.5}]`, "width is 64.5; it is a whole number"},
		{`[{"name":"resize","height":"640"}]`, `height is "640"; it is a whole number`},
		{`[{"name":"resize","height":null}]`, "height is null"},
		{`[{"name":"compress","quality":101}]`, "a whole number from 1 to 100"},
		{`[{"name":"compress","quality":1e99}]`, "a whole number from 1 to 100"},
		{`[{"name":"compress","level":1}]`, "it has quality"},
		{`[{"name":"watermark","text":7}]`, "it is a string"},
		{`[{"name":"watermark","text":""}]`, "1 to 120"},
		{`[{"name":"watermark","text":"   "}]`, "1 to 120"},
		{`[{"name":"watermark","text":"` + strings.Repeat("x", 121) + `"}]`, "1 to 120"},
		{`[{"name":"watermark","text":"two\nlines"}]`, "Latin, Greek and Cyrillic"},
		{`[{"name":"watermark","text":"日本"}]`, "Latin, Greek and Cyrillic"},
		{`[{"name":"watermark","size":"` + strings.Repeat("x", 5000) + `"}]`, "it has text"},
		{`[{"name":"watermark","text":[` + strings.Repeat("1,", 5000) + `1]}]`, "it is a string"},
	} {
		t.Run(event.Cut(tt.ops, 60), func(t *testing.T) {
			t.Parallel()
			_, err := Parse(operations(t, tt.ops))
			var e *Error
			if !errors.As(err, &e) || e.Code != BadOperation {
				t.Fatalf("error is %v, want %s", err, BadOperation)
			}
			if !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 300 {
				t.Errorf("error reads %q, want it to say %q", err, tt.want)
			}
		})
	}
}
