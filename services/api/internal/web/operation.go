package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"handoff/shared/event"
)

// operationNames lists what the imager can do with a picture. What options an operation has, the imager says.
func operationNames() []string { return []string{"resize", "compress", "watermark"} }

// maxOperations bounds the operations of one request.
const maxOperations = 16

// An operationField is an operation as it was sent; it is read when all of them are checked, so that what is wrong
// with one is said in its place.
type operationField struct{ raw json.RawMessage }

// UnmarshalJSON implements json.Unmarshaler.
func (o *operationField) UnmarshalJSON(b []byte) error {
	o.raw = append(json.RawMessage(nil), b...)
	return nil
}

// Schema implements huma.SchemaProvider. The alternatives are only written into the document: checked by huma, a wrong
// name would be answered with "matched none", and not with what is allowed.
func (operationField) Schema(huma.Registry) *huma.Schema {
	var names []any
	for _, n := range operationNames() {
		names = append(names, n)
	}
	name := &huma.Schema{Type: huma.TypeString, Enum: names}
	return &huma.Schema{
		Description: "An operation's name, or an object with its name and options.",
		Extensions: map[string]any{"oneOf": []*huma.Schema{
			name,
			{
				Type: huma.TypeObject, Properties: map[string]*huma.Schema{"name": name}, Required: []string{"name"},
				AdditionalProperties: true,
				Examples:             []any{map[string]any{"name": "resize", "width": 640}},
			},
		}},
	}
}

// parseOperations reads the operations and says what is wrong with each; at is the path of the list.
func parseOperations(fields []operationField, at *huma.PathBuffer) ([]event.Operation, []error) {
	ops := make([]event.Operation, 0, len(fields))
	var errs []error
	for i, f := range fields {
		op, err := parseOperation(f.raw, ops)
		if err != nil {
			at.PushIndex(i)
			errs = append(errs, &huma.ErrorDetail{Message: err.Error(), Location: at.String(), Value: scalar(f.raw)})
			at.Pop()
			continue
		}
		ops = append(ops, op)
	}
	return ops, errs
}

func parseOperation(raw json.RawMessage, before []event.Operation) (event.Operation, error) {
	var op event.Operation
	if err := op.UnmarshalJSON(raw); err != nil {
		return op, err
	}
	if !slices.Contains(operationNames(), op.Name) {
		return op, errors.New("unknown operation: there are " + strings.Join(operationNames(), ", "))
	}
	if slices.ContainsFunc(before, func(b event.Operation) bool { return b.Name == op.Name }) {
		return op, fmt.Errorf("%s is asked for twice", op.Name)
	}
	return op, nil
}

// scalar is the value of raw if it is a string, to be shown in an error.
func scalar(raw json.RawMessage) any {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	return s
}
