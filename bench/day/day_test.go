package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"handoff/bench/internal/embedded"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, err string }{
		{"", ""},
		{"-duration 1m -every 1s -tasks 10 -users 1 -dir .", ""},
		{"-duration 0s", "-duration"},
		{"-every -1s", "-every"},
		{"-tasks 0", "-tasks"},
		{"now", "unexpected argument"},
		{"-x", "not defined"},
	} {
		_, err := parse(strings.Fields(tt.args), io.Discard)
		if (err == nil) != (tt.err == "") || (err != nil && !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("parse(%s): %v, want %q", tt.args, err, tt.err)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		code int
	}{{"-h", 0}, {"-users none", 2}, {"-dir /nowhere/at/all", 1}} {
		if code := run(t.Context(), strings.Fields(tt.args), io.Discard, io.Discard); code != tt.code {
			t.Errorf("%s: exit code %d, want %d", tt.args, code, tt.code)
		}
	}
}

func TestEveryRequestIsCounted(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%3 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	l := &load{url: server.URL, status: http.StatusAccepted, body: func(int) string { return "{}" }}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	l.send(ctx, 200)
	if got := int64(l.accepted() + l.others()); got != n.Load() || got == 0 {
		t.Errorf("%d were counted of %d", got, n.Load())
	}
}

// at gives levels with so many jobs each.
func at(jobs ...int64) []level {
	var all []level
	for _, n := range jobs {
		l := level{health: embedded.Health{Streams: []embedded.Stream{{Name: "TASKS", Messages: 5}}}}
		l.health.Store.Jobs, l.health.Store.Users = n, 10
		all = append(all, l)
	}
	return all
}

func TestJudge(t *testing.T) {
	t.Parallel()
	users := func(took int, refused map[string]int) *load { return &load{took: took, refused: refused} }
	for name, tt := range map[string]struct {
		levels []level
		users  *load
		want   string
	}{
		"a level":        {at(2000, 9000, 9100, 9000, 9050, 9000), users(10, nil), ""},
		"none":           {at(2000, 4000, 6000, 8000, 10000, 12000), users(10, nil), "jobs in api.db: no level"},
		"too short":      {at(1, 2), users(10, nil), "too few"},
		"a user is lost": {at(9000, 9000, 9000, 9000), users(11, nil), "11 users were accepted and 10 are known"},
		"refused":        {at(9000, 9000, 9000, 9000), users(10, map[string]int{"503": 1}), "users were refused: 1 times 503"},
	} {
		var out bytes.Buffer
		err := judge(tt.levels, &load{}, tt.users, &out)
		if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
