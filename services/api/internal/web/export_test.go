package web

import (
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handoff/shared/event"
)

// Quick makes a server whose times a test can wait for. Zero keeps a time as it is.
func Quick(o Options, read, idle, write, demo time.Duration) *Server {
	l := defaults()
	for _, t := range []struct {
		to   *time.Duration
		from time.Duration
	}{{&l.read, read}, {&l.idle, idle}, {&l.write, write}, {&l.demo, demo}} {
		if t.from > 0 {
			*t.to = t.from
		}
	}
	return newServer(o, l)
}

// Parts that are worth fuzzing without a server around them.
var (
	CheckEmail    = checkEmail
	CheckImageURL = checkImageURL
	ParseWait     = parseWait
	PreferredWait = preferredWait
	ParseKey      = parseKey
	Canonical     = canonical
)

// ReadOperations reads a list of operations as a request's body would have it.
func ReadOperations(b []byte) ([]event.Operation, bool) {
	var fields []operationField
	if json.Unmarshal(b, &fields) != nil {
		return nil, false
	}
	ops, errs := parseOperations(fields, huma.NewPathBuffer(nil, 0))
	return ops, len(errs) == 0
}
