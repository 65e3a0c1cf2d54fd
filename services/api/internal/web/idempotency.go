package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"

	"handoff/services/api/internal/accept"
)

const (
	keyHeader = "Idempotency-Key"
	maxKey    = 255 // bytes
)

// Keyed is embedded in the input of an operation whose requests may come with an Idempotency-Key. It is exported only because huma
// passes over embedded types that are not.
type Keyed struct {
	// Sent is only there to be described: what was sent is read by Resolve.
	Sent keyField `header:"Idempotency-Key" doc:"A name for this request that you choose, such as a UUID: 1 to 255 visible ASCII characters, as a quoted string (RFC 9651) or bare. The same request with the same key is accepted once, and answered with the first answer again for as long as its job is kept, at most 24 hours; one that comes while the first is under way is answered with 409, another request with the key with 422." example:"\"0199f3c1-6f0e-7c3a-9d55-3c9a7b3cad44\""`

	key accept.Key
}

type keyField string

// Schema implements huma.SchemaProvider.
func (keyField) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeString} }

// Resolve implements huma.Resolver.
func (k *Keyed) Resolve(ctx huma.Context) []error {
	request := humafiber.Unwrap(ctx).Request()
	sent := request.Header.PeekAll(keyHeader)
	if len(sent) == 0 {
		return nil
	}
	if len(sent) > 1 {
		return []error{keyError("there must be one Idempotency-Key")}
	}
	key, err := parseKey(string(sent[0]))
	if err != nil {
		return []error{keyError(err.Error())}
	}
	op := ctx.Operation()
	path := strings.ReplaceAll(op.Path, "{id}", ctx.Param("id"))
	k.key = accept.NewKey(key, canonical(op.Method, path, request.Body()))
	return nil
}

// keyError is a refusal of a key. It does not repeat it: a client may have put into it what is nobody's business.
func keyError(message string) error {
	return &huma.ErrorDetail{Message: message, Location: "header." + keyHeader}
}

// parseKey reads the value of an Idempotency-Key: a string as structured fields have it (RFC 9651), or the same without its quotes,
// as most clients send it.
func parseKey(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		var ok bool
		if s, ok = unquote(s); !ok {
			return "", errors.New("the key's quotes are not those of a string")
		}
	}
	if s == "" || len(s) > maxKey {
		return "", fmt.Errorf("the key must have 1 to %d characters", maxKey)
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return "", errors.New("the key must have visible ASCII characters only")
		}
	}
	return s, nil
}

// unquote gives what a quoted string says. Parameters behind it are refused: nobody has said what they would mean.
func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return b.String(), i == len(s)-1
		case '\\':
			i++
			if i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

// canonical is what must be the same when a request comes again: its method, its path without regard to a trailing slash, and its
// JSON without regard to white space and to the order of fields.
func canonical(method, path string, body []byte) []byte {
	b := append(append(append(append([]byte(method), ' '), path...), '\n'), compact(body)...)
	return b
}

func compact(body []byte) []byte {
	var v any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // so that no digit is lost
	if dec.Decode(&v) != nil {
		return body // it is empty, or refused for being no JSON
	}
	out, err := json.Marshal(v)
	if err != nil {
		return body
	}
	return out
}
