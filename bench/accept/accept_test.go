package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"handoff/bench/internal/groupcommit"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, err string }{
		{"", ""},
		{"-duration 2s -raw 1s -connections 8 -workers off -dir .", ""},
		{"-duration 0s", "-duration"},
		{"-raw -1s", "-duration and -raw"},
		{"-users -1", "-users is -1"},
		{"-connections 0", "-connections is 0"},
		{"-connections 5000", "-connections is 5000"},
		{"-workers maybe", `-workers is "maybe"`},
		{"now", "unexpected argument"},
		{"-x", "not defined"},
	} {
		_, err := parse(strings.Fields(tt.args), io.Discard)
		if (err == nil) != (tt.err == "") || (err != nil && !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("parse(%s): %v, want %q", tt.args, err, tt.err)
		}
	}
	var help bytes.Buffer
	if _, err := parse([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-workers") {
		t.Errorf("-h: %v, %s", err, help.String())
	}
}

func TestPercentileIsOneThatWasMeasured(t *testing.T) {
	t.Parallel()
	hundred := load{took: time.Second}
	for i := range 100 {
		hundred.latencies = append(hundred.latencies, time.Duration(i+1)*time.Millisecond)
	}
	for p, want := range map[int]time.Duration{0: time.Millisecond, 50: 50 * time.Millisecond, 99: 99 * time.Millisecond, 100: 100 * time.Millisecond} {
		if got := hundred.percentile(p); got != want {
			t.Errorf("percentile %d is %s, want %s", p, got, want)
		}
	}
	if got := hundred.rate(); got != 100 {
		t.Errorf("the rate is %f, want 100", got)
	}
	if got := (load{}).percentile(99); got != 0 {
		t.Errorf("the percentile of nothing is %s", got)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	raw := groupcommit.Result{Accepts: 120_000, Commits: 4_000, Took: 3 * time.Second}
	l := load{took: 10 * time.Millisecond, refused: map[string]int{"503 full": 2, "409 taken": 1}}
	for i := range 200 {
		l.latencies = append(l.latencies, time.Duration(i+1)*10*time.Microsecond)
	}
	cfg := config{raw: 3 * time.Second, connections: 64}
	var out bytes.Buffer
	if err := printRaw(&out, cfg, raw); err != nil {
		t.Fatal(err)
	}
	if err := printLoad(&out, cfg, l, raw); err != nil {
		t.Fatal(err)
	}
	const want = `bbolt alone, 64 writers, 3s: 40000 accepts/s (30 in a commit, 1333 commits/s)
POST /users/ on the api alone, 64 connections, 10ms: 20000 accepts/s, p50 1.00 ms, p99 1.98 ms, 3 other answers
ratio: 0.50 of bbolt alone
  2 times: 503 full
  1 times: 409 taken
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
	if err := printLoad(io.Discard, cfg, load{took: time.Second, refused: map[string]int{"503 full": 7}}, raw); err == nil {
		t.Error("no error although nothing was accepted")
	}
}

// registrations refuses one address of each connection, and notes what it was sent.
type registrations struct {
	mu     sync.Mutex
	emails map[string]int
}

func (r *registrations) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var body struct{ Email, Username string }
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil || body.Username == "" || req.Method+req.URL.Path != "POST/users/" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	r.mu.Lock()
	r.emails[body.Email]++
	r.mu.Unlock()
	if strings.HasPrefix(body.Email, "u1-0@") {
		w.WriteHeader(http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func TestSendCountsWhatIsAcceptedAndWhatIsNot(t *testing.T) {
	t.Parallel()
	seen := &registrations{emails: map[string]int{}}
	server := httptest.NewServer(seen)
	t.Cleanup(server.Close)
	got := send(t.Context(), server.URL, sending{name: "u", connections: 3, d: 300 * time.Millisecond})
	seen.mu.Lock()
	defer seen.mu.Unlock()
	for email, n := range seen.emails {
		if n != 1 {
			t.Errorf("%s was sent %d times", email, n)
		}
	}
	counted := len(got.latencies)
	for _, n := range got.refused {
		counted += n
	}
	// The last request of each connection may end after the time is up.
	if sent := len(seen.emails); counted == 0 || counted > sent || counted < sent-3 {
		t.Errorf("%d were counted of %d", counted, sent)
	}
	if len(got.refused) > 1 || (len(got.refused) == 1 && got.causes()[0] != "409 ") {
		t.Errorf("refused: %v", got.refused)
	}
	if got.took != 300*time.Millisecond {
		t.Errorf("it took %s", got.took)
	}
}

func TestSendSaysThatNobodyAnswers(t *testing.T) {
	t.Parallel()
	got := send(t.Context(), "http://127.0.0.1:1", sending{connections: 2, d: 100 * time.Millisecond})
	if len(got.latencies) != 0 || len(got.refused) == 0 {
		t.Errorf("send gives %+v", got)
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := send(ctx, "http://127.0.0.1:1", sending{connections: 2, d: time.Hour}); len(got.latencies)+len(got.refused) != 0 {
		t.Errorf("send gives %+v", got)
	}
}

func TestAcceptMeasuresBothForms(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds and runs cmd/handoff and the api")
	}
	for _, workers := range []string{"on", "off"} {
		t.Run(workers, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			args := []string{"-duration", "200ms", "-raw", "50ms", "-connections", "4", "-users", "50", "-workers", workers, "-dir", t.TempDir()}
			if code := run(t.Context(), args, &out, &errOut); code != 0 {
				t.Fatalf("exit code %d: %s", code, errOut.String())
			}
			if !strings.Contains(out.String(), "bbolt alone, 4 writers") || !strings.Contains(out.String(), "ratio: ") ||
				!strings.Contains(out.String(), " with 50 users, ") || strings.Count(out.String(), "NATS was behind by") != 2 {
				t.Errorf("printed\n%s", out.String())
			}
		})
	}
}

func TestSendKeepsToItsRate(t *testing.T) {
	t.Parallel()
	seen := &registrations{emails: map[string]int{}}
	server := httptest.NewServer(seen)
	t.Cleanup(server.Close)
	send(t.Context(), server.URL, sending{name: "h", connections: 2, d: time.Second, rate: 20})
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if n := len(seen.emails); n == 0 || n > 22 {
		t.Errorf("%d were sent in a second, want at most 20", n)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		code int
	}{{"-h", 0}, {"-workers maybe", 2}, {"-dir /nowhere/at/all", 1}} {
		if code := run(t.Context(), strings.Fields(tt.args), io.Discard, io.Discard); code != tt.code {
			t.Errorf("%s: exit code %d, want %d", tt.args, code, tt.code)
		}
	}
}
