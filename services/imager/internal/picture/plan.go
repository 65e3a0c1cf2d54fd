package picture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"handoff/shared/event"
)

// The operations there are.
const (
	opResize    = "resize"
	opCompress  = "compress"
	opWatermark = "watermark"
)

// A Plan is what is to be done with a picture. Its steps run in a fixed order, whatever the order asked for: decode,
// resize, turn as the camera says, watermark, encode. A step that is nil is left out. The zero Plan only encodes anew.
type Plan struct {
	Resize    *Resize
	Watermark *Watermark
	Compress  *Compress

	names []string
}

// Names lists the operations in the order they were asked for.
func (p Plan) Names() []string { return slices.Clone(p.names) }

// Parse reads the operations of a request. An operation may be named once. The error is an [*Error] with the code
// [BadOperation]; it lists what is allowed.
func Parse(ops []event.Operation) (Plan, error) {
	var p Plan
	for _, op := range ops {
		if slices.Contains(p.names, op.Name) {
			return Plan{}, failf(BadOperation, "%s is asked for twice; name an operation once", op.Name)
		}
		o, err := readOptions(op)
		if err != nil {
			return Plan{}, err
		}
		switch op.Name {
		case opResize:
			p.Resize, err = parseResize(o)
		case opCompress:
			p.Compress, err = parseCompress(o)
		case opWatermark:
			p.Watermark, err = parseWatermark(o)
		default:
			return Plan{}, failf(BadOperation, "%.40q is not an operation; there are %s, %s and %s",
				op.Name, opResize, opCompress, opWatermark)
		}
		if err != nil {
			return Plan{}, err
		}
		p.names = append(p.names, op.Name)
	}
	if len(p.names) == 0 {
		return Plan{}, failf(BadOperation, "no operation is asked for; there are %s, %s and %s",
			opResize, opCompress, opWatermark)
	}
	return p, nil
}

// options are the options of one operation, still encoded.
type options struct {
	op     string
	values map[string]json.RawMessage
}

func readOptions(op event.Operation) (options, error) {
	o := options{op: op.Name}
	if op.Options == nil {
		return o, nil
	}
	if err := json.Unmarshal(op.Options, &o.values); err != nil {
		return o, failf(BadOperation, `the options of %.40q are not an object such as {"name": "resize", "width": 640}`, op.Name)
	}
	delete(o.values, "name")
	return o, nil
}

// only refuses every option but the allowed ones.
func (o options) only(allowed ...string) error {
	for _, name := range slices.Sorted(maps.Keys(o.values)) {
		if !slices.Contains(allowed, name) {
			return failf(BadOperation, "%s has no option %.40q; it has %s", o.op, name, strings.Join(allowed, " and "))
		}
	}
	return nil
}

// number gives a whole number from lo to hi, or missing where the option is not there.
func (o options) number(name string, lo, hi, missing int) (int, error) {
	raw, ok := o.values[name]
	if !ok {
		return missing, nil
	}
	// A pointer tells null from 0; 640.5 and "640" don't decode.
	var n *int
	if err := json.Unmarshal(raw, &n); err != nil || n == nil || *n < lo || *n > hi {
		return 0, failf(BadOperation, "%s: %s is %s; it is a whole number from %d to %d", o.op, name, excerpt(raw), lo, hi)
	}
	return *n, nil
}

// text gives a string, or missing where the option is not there.
func (o options) text(name, missing string) (string, error) {
	raw, ok := o.values[name]
	if !ok {
		return missing, nil
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", failf(BadOperation, "%s: %s is %s; it is a string", o.op, name, excerpt(raw))
	}
	return *s, nil
}

// excerpt shows a value in an error without repeating kilobytes of it.
func excerpt(raw json.RawMessage) string {
	const limit = 40
	if raw = bytes.TrimSpace(raw); len(raw) > limit {
		return fmt.Sprintf("%.*q…", limit, string(raw))
	}
	return string(raw)
}
