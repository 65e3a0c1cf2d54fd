package house

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A Client uses the API at one address.
type Client struct {
	URL string // without a slash at the end

	t     testing.TB
	http  *http.Client
	names *atomic.Int64
}

// At gives a client of what answers at an address.
func At(t testing.TB, url string) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &Client{URL: url, t: t, names: &atomic.Int64{}, http: &http.Client{
		Transport: transport, Timeout: 90 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// With gives the same client for a subtest.
func (c *Client) With(t testing.TB) *Client {
	other := *c
	other.t = t
	return &other
}

// An Answer is what came back.
type Answer struct {
	Request string
	Status  int
	Header  http.Header
	Body    []byte

	t testing.TB
}

// Try sends a request and gives the answer, or what kept it from coming. Headers are "Name: value"; a body is JSON unless they say
// otherwise.
func (c *Client) Try(ctx context.Context, method, path, body string, headers ...string) (*Answer, error) {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, reader)
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &Answer{Request: method + " " + path, Status: resp.StatusCode, Header: resp.Header, Body: b, t: c.t}, nil
}

// Do sends a request and gives the answer; none fails the test.
func (c *Client) Do(method, path, body string, headers ...string) *Answer {
	c.t.Helper()
	a, err := c.Try(c.t.Context(), method, path, body, headers...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// Get asks for a path.
func (c *Client) Get(path string) *Answer {
	c.t.Helper()
	return c.Do(http.MethodGet, path, "")
}

// Post sends JSON to a path.
func (c *Client) Post(path, body string) *Answer {
	c.t.Helper()
	return c.Do(http.MethodPost, path, body)
}

// Is fails the test unless the answer has this status.
func (a *Answer) Is(status int) *Answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("%s: got %d, want %d: %.500s", a.Request, a.Status, status, a.Body)
	}
	return a
}

// JSON reads the body into v.
func (a *Answer) JSON(v any) *Answer {
	a.t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		a.t.Fatalf("%s: the body is not what it should be: %v: %.500s", a.Request, err, a.Body)
	}
	return a
}

// Registration is a body for POST /users/ that nobody has sent yet, and its address.
func (c *Client) Registration() (body, email string) {
	email = fmt.Sprintf("user%d@example.org", c.names.Add(1))
	return fmt.Sprintf(`{"email":%q,"username":"Ada"}`, email), email
}
