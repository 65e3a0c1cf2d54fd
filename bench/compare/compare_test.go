package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"handoff/bench/internal/embedded"
)

func TestSecondsShowsTwoPlacesAndMoreOfWhatIsShort(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{30*time.Second + 512*time.Millisecond, "30.51"},
		{3 * time.Second, "3.00"},
		{100 * time.Millisecond, "0.10"},
		{12345 * time.Microsecond, "0.012"},
		{1234 * time.Microsecond, "0.0012"},
		{123 * time.Microsecond, "0.00012"},
		{time.Microsecond, "0.000001"},
		{0, "0.000000"},
	} {
		if got := seconds(tt.d); got != tt.want {
			t.Errorf("seconds(%v) is %s, want %s", tt.d, got, tt.want)
		}
	}
}

func TestReportIsTheDemos(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	sequential := times{10, 30500 * time.Millisecond}
	if err := printTitle(&out, 10, "sequential", "/sync-task/"); err != nil {
		t.Fatal(err)
	}
	if err := printTimes(&out, sequential); err != nil {
		t.Fatal(err)
	}
	if err := printGain(&out, sequential, times{10, 10 * time.Millisecond}, times{10, 3050 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	const want = `Testing 10 sequential requests to /sync-task/
Total time: 30.50 seconds
Average time per request: 3.05 seconds

Accepted: every request was answered, the work is kept
Total time: 0.010 seconds
Average time per request: 0.0010 seconds
Performance improvement: 3050.00x faster!

All done: every job has ended as succeeded
Total time: 3.05 seconds
Average time per request: 0.30 seconds
Performance improvement: 10.00x faster!

`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

func TestAGainOverNothingIsNoDivisionByZero(t *testing.T) {
	t.Parallel()
	if got := (times{1, 0}).fasterThan(times{1, time.Second}); got != 1e9 {
		t.Errorf("it is %f times faster, want 1e9", got)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		url  string
		n    int
		err  string
	}{
		{"", "http://127.0.0.1:8000", 10, ""},
		{"-n 3 -url http://localhost:9/", "http://localhost:9", 3, ""},
		{"-url https://handoff.example.com/api", "https://handoff.example.com/api", 10, ""},
		{"-n 0", "", 0, "-n is 0"},
		{"-n 1001", "", 0, "-n is 1001"},
		{"-n x", "", 0, "invalid value"},
		{"-url 127.0.0.1:8000", "", 0, "-url is"},
		{"-url ftp://127.0.0.1", "", 0, "-url is"},
		{"-url http://", "", 0, "-url is"},
		{"-url http://127.0.0.1/?a", "", 0, "-url is"},
		{"now", "", 0, "unexpected argument"},
		{"-x", "", 0, "not defined"},
	} {
		got, err := parse(strings.Fields(tt.args), io.Discard)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("parse(%s): %v, want %q", tt.args, err, tt.err)
			}
			continue
		}
		if err != nil || got.n != tt.n || got.url.String() != tt.url {
			t.Errorf("parse(%s) is %v, %d (%v)", tt.args, got.url, got.n, err)
		}
	}
}

func TestOnlyWhatIsHereIsStarted(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"http://127.0.0.1:8000": "127.0.0.1:8000", "http://localhost:8001": "localhost:8001", "http://[::1]:8000": "[::1]:8000",
		"http://127.0.0.1":     "127.0.0.1:80",
		"http://10.0.0.1:8000": "", "https://127.0.0.1:8000": "", "http://handoff.example.com": "", "http://127.0.0.1:8000/api": "",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if isLocal(u) != (want != "") {
			t.Errorf("isLocal(%s) is %t", address, isLocal(u))
		}
		if want != "" && listenAddr(u) != want {
			t.Errorf("listenAddr(%s) is %s, want %s", address, listenAddr(u), want)
		}
	}
}

// fake is a Handoff whose work takes no time.
type fake struct {
	state  string // how jobs end
	status int    // of /async-task/
	looked func() // called when a job is looked at, unless nil
	jobs   atomic.Int64
	syncs  atomic.Int64
	asked  atomic.Int64
}

func (f *fake) start(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /sync-task/", func(http.ResponseWriter, *http.Request) { f.syncs.Add(1) })
	mux.HandleFunc("POST /async-task/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(f.status)
		fmt.Fprintf(w, `{"job_id": "job-%d", "title": "Busy", "detail": "Later."}`, f.jobs.Add(1))
	})
	mux.HandleFunc("GET /jobs/{id}", func(w http.ResponseWriter, r *http.Request) {
		if f.looked != nil {
			f.looked()
		}
		state := "running"
		if f.asked.Add(1) > f.jobs.Load() { // each job is looked at twice, on average
			state = f.state
		}
		if r.URL.Query().Get("wait") == "" {
			t.Error("a job was asked for without a wait")
		}
		fmt.Fprintf(w, `{"id": %q, "state": %q, "tasks": [{"service": "tasker", "error": "no luck"}]}`, r.PathValue("id"), state)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestCompareAgainstAServer(t *testing.T) {
	t.Parallel()
	f := &fake{state: "succeeded", status: http.StatusAccepted}
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"-url", f.start(t), "-n", "4"}, &out, &errOut); code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut.String())
	}
	if f.syncs.Load() != 4 || f.jobs.Load() != 4 {
		t.Errorf("%d synchronous and %d asynchronous requests were sent, want 4 each", f.syncs.Load(), f.jobs.Load())
	}
	wantReport(t, out.String(), 4)
	if errOut.Len() > 0 {
		t.Errorf("printed beside the report: %s", errOut.String())
	}
}

func wantReport(t *testing.T, got string, n int) {
	t.Helper()
	const figures = `Total time: \d+\.\d+ seconds\nAverage time per request: \d+\.\d+ seconds\n`
	const gain = figures + `Performance improvement: \d+\.\d\dx faster!\n\n`
	want := fmt.Sprintf(`^Testing %d sequential requests to /sync-task/\n%s\nTesting %d concurrent requests to /async-task/\nAccepted: .*\n%sAll done: .*\n%s$`,
		n, figures, n, gain, gain)
	if !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("printed\n%s", got)
	}
}

func TestFailuresAreSaidAndCounted(t *testing.T) {
	t.Parallel()
	ok := &fake{state: "succeeded", status: http.StatusAccepted}
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a wrong flag", []string{"-n", "-1"}, 2, "compare: -n is -1"},
		{"help", []string{"-h"}, 0, "-url"},
		{"another program", []string{"-url", other.URL}, 1, "is not Handoff"},
		{"nobody, elsewhere", []string{"-url", "https://127.0.0.1:1"}, 1, "nothing answers at https://127.0.0.1:1"},
		{"refused", []string{"-n", "2", "-url", (&fake{status: 503}).start(t)}, 1, "503 Service Unavailable, want 202: Busy: Later."},
		{"dead", []string{"-n", "2", "-url", (&fake{state: "dead", status: 202}).start(t)}, 1, "ended as dead: tasker: no luck"},
		{"no such path", []string{"-n", "2", "-url", ok.start(t) + "/api"}, 1, "is not Handoff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var errOut bytes.Buffer
			code := run(t.Context(), tt.args, io.Discard, &errOut)
			if code != tt.code || !strings.Contains(errOut.String(), tt.want) {
				t.Errorf("exit code %d and %q, want %d and %q", code, errOut.String(), tt.code, tt.want)
			}
		})
	}
}

func TestAJobThatDoesNotEndIsGivenUp(t *testing.T) {
	t.Parallel()
	f := &fake{state: "queued", status: http.StatusAccepted}
	c := newClient(f.start(t), 1)
	err := c.succeeded(t.Context(), "job-1", 0)
	if err == nil || !strings.Contains(err.Error(), "job job-1 is still queued") {
		t.Errorf("succeeded: %v", err)
	}
}

func TestCompareStartsHandoffWhenNothingAnswers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds and runs cmd/handoff")
	}
	addr, err := embedded.FreeAddr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"-url", "http://" + addr, "-n", "1"}, &out, &errOut); code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut.String())
	}
	wantReport(t, out.String(), 1)
	if !strings.Contains(errOut.String(), "Nothing answers at http://"+addr) {
		t.Errorf("printed beside the report: %s", errOut.String())
	}
	if err := newClient("http://"+addr, 1).alive(t.Context()); err == nil {
		t.Error("Handoff still runs")
	}
}

func TestAnInterruptEndsTheWait(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := &fake{state: "running", status: http.StatusAccepted, looked: cancel}
	var errOut bytes.Buffer
	code := run(ctx, []string{"-url", f.start(t), "-n", "1"}, io.Discard, &errOut)
	if code != 1 || errOut.String() != "compare: interrupted\n" {
		t.Errorf("exit code %d and %q", code, errOut.String())
	}
}
