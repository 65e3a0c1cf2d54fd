package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"handoff/services/api/internal/web"
)

// A client talks to one running server.
type client struct {
	t     *testing.T
	base  string
	http  *http.Client
	trace *httptrace.ClientTrace // of every request; nil: none
	stop  func() error           // ends the server and gives what Serve returned; more than once is fine
}

// start runs the server that the world makes.
func (w *world) start(t *testing.T) *client {
	t.Helper()
	return run(t, web.Quick(w.opts, 0, 0, 0, 20*time.Millisecond))
}

func run(t *testing.T, s *web.Server) *client {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	var served error
	go func() { served = s.Serve(ctx, ln); close(done) }()
	transport := &http.Transport{DisableCompression: true}
	c := &client{
		t: t, base: "http://" + ln.Addr().String(),
		http: &http.Client{
			Transport: transport, Timeout: time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		stop: func() error { cancel(); <-done; return served },
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := c.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return c
}

// An answer is a response, read to its end.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
	size   int64 // Content-Length
	last   bool  // the server closes the connection
}

// do sends a request; headers are "Name: value". A body is JSON unless a header says otherwise.
func (c *client) do(method, path, body string, headers ...string) *answer {
	c.t.Helper()
	a, err := c.try(method, path, body, headers...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (c *client) try(method, path, body string, headers ...string) (*answer, error) {
	ctx := c.t.Context()
	if c.trace != nil {
		ctx = httptrace.WithClientTrace(ctx, c.trace)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return &answer{t: c.t, status: resp.StatusCode, header: resp.Header, body: b, size: resp.ContentLength, last: resp.Close}, err
}

func (c *client) get(path string, headers ...string) *answer {
	c.t.Helper()
	return c.do(http.MethodGet, path, "", headers...)
}

func (c *client) post(path, body string, headers ...string) *answer {
	c.t.Helper()
	return c.do(http.MethodPost, path, body, headers...)
}

// is checks the status.
func (a *answer) is(want int) *answer {
	a.t.Helper()
	if a.status != want {
		a.t.Fatalf("status is %d, want %d; body: %.300s", a.status, want, a.body)
	}
	return a
}

// has checks a header field.
func (a *answer) has(name, want string) *answer {
	a.t.Helper()
	if got := a.header.Get(name); got != want {
		a.t.Errorf("%s is %q, want %q", name, got, want)
	}
	return a
}

// into decodes the body strictly.
func (a *answer) into(v any) {
	a.t.Helper()
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		a.t.Fatalf("decode %s: %v", a.body, err)
	}
}

type problem struct {
	Type, Title, Detail, Instance string
	Status                        int
	Errors                        []struct {
		Message, Location string
		Value             any
	}
}

// problem checks that the body is a problem document that fits its status, and gives it.
func (a *answer) problem(want int) problem {
	a.t.Helper()
	a.is(want).has("Content-Type", "application/problem+json")
	var p problem
	a.into(&p)
	if p.Status != want || p.Title != http.StatusText(want) || p.Type != "about:blank" || p.Detail == "" {
		a.t.Errorf("incomplete problem: %s", a.body)
	}
	return p
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}
