package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server on the loopback and gives its host:port.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantError checks that err is an *Error with code and shows nothing that it must not.
func wantError(t *testing.T, err error, code Code) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("error is %v, want %s", err, code)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("error %q shows a secret", err)
	}
	return e
}

func TestFetch(t *testing.T) {
	t.Parallel()
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for _, h := range []string{"Referer", "Cookie", "Authorization", "Accept-Encoding"} {
			if v := r.Header.Get(h); v != "" {
				t.Errorf("request has %s: %s", h, v)
			}
		}
		w.Header().Set("Content-Type", "text/html") // of no account
		fmt.Fprintf(w, "picture of %s", r.URL.RequestURI())
	})
	body, err := client(t, Config{Allow: []string{addr}}).Fetch(t.Context(), "http://"+addr+"/a.jpg?key=secret")
	if err != nil || string(body) != "picture of /a.jpg?key=secret" {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestLoopbackIsForbiddenUnlessListed(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	addr := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	_, port, _ := net.SplitHostPort(addr)
	for name, c := range map[string]*Client{
		"nothing listed":   client(t, Config{}),
		"another port":     client(t, Config{Allow: []string{"127.0.0.1:1"}}),
		"another spelling": client(t, Config{Allow: []string{"localhost:" + port}}),
	} {
		_, err := c.Fetch(t.Context(), "http://"+addr+"/?k=secret")
		if e := wantError(t, err, BlockedURL); !e.Permanent() {
			t.Errorf("%s: a blocked address is tried again", name)
		}
	}
	// Port 80 passes the look at the URL, so it is the hook that must refuse.
	for _, host := range []string{"127.0.0.1", "localhost", "localhost.", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "１２７.０.０.１", "169.254.169.254"} {
		_, err := client(t, Config{}).Fetch(t.Context(), "http://"+host+"/?k=secret")
		var e *Error
		if !errors.As(err, &e) || (e.Code != BlockedURL && e.Code != Unreachable) {
			t.Errorf("%s: error is %v", host, err)
		}
		if strings.Contains(host, ".0") && e.Code != BlockedURL { // no name to resolve
			t.Errorf("%s: error is %v, want %s", host, err, BlockedURL)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("a forbidden address was asked %d times", n)
	}
}

func TestUnreadableURLs(t *testing.T) {
	t.Parallel()
	c := client(t, Config{})
	for _, raw := range []string{
		"", "http://[::1/?k=secret", "http://exa\tmple.com/?k=secret", "http://example.com\\@127.0.0.1/?k=secret",
		"http://a b/?k=secret", "http://%zz/?k=secret", "http://127.0.0.1:port/?k=secret", "http:opaque?k=secret",
		"http://user:secret@127.0.0.1/", "file:///etc/passwd?k=secret",
	} {
		_, err := c.Fetch(t.Context(), raw)
		_ = wantError(t, err, BlockedURL)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	other := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "other") })
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") != "" {
			t.Error("a redirect tells where it came from")
		}
		if n := strings.Count(r.URL.Path, "x"); n > 0 { // /xxx: three more
			http.Redirect(w, r, strings.TrimSuffix(r.URL.Path, "x")+"?k=secret", http.StatusFound)
			return
		}
		if to := r.URL.Query().Get("to"); to != "" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "picture")
	})
	c := client(t, Config{Allow: []string{addr}})
	for path, want := range map[string]Code{
		"/": "", "/x": "", "/xxx": "", "/xxxx": TooManyRedirects,
		"/?to=//" + addr + "/":                 "",
		"/?to=http://" + other + "/":           BlockedURL, // the exception is for one address only
		"/?to=http://169.254.169.254/secret":   BlockedURL,
		"/?to=http://127.0.0.1/":               BlockedURL,
		"/?to=file:///etc/passwd":              BlockedURL,
		"/?to=gopher://127.0.0.1:6379/":        BlockedURL,
		"/?to=http://u:secret@" + addr + "/":   BlockedURL,
		"/?to=http://127.0.0.1:6379/%3Fsecret": BlockedURL,
	} {
		body, err := c.Fetch(t.Context(), "http://"+addr+path)
		if want == "" {
			if err != nil || string(body) != "picture" {
				t.Errorf("%s: got %q, %v", path, body, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("%s: error is %v, want %s", path, err, want)
		}
	}
}

func TestNoWayDownFromHTTPS(t *testing.T) {
	t.Parallel()
	c := client(t, Config{})
	from := &http.Request{URL: &url.URL{Scheme: "https", Host: "example.com"}}
	to := &http.Request{URL: &url.URL{Scheme: "http", Host: "example.com"}, Header: http.Header{}}
	if err := c.checkRedirect(to, []*http.Request{from}); !errors.Is(err, errBlocked) {
		t.Errorf("error is %v, want it forbidden", err)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	var squeezed bytes.Buffer
	z := gzip.NewWriter(&squeezed)
	_, _ = z.Write(make([]byte, 1<<20))
	_ = z.Close()
	for _, tt := range []struct {
		name      string
		status    int
		head      [2]string
		code      Code
		permanent bool
		after     time.Duration
	}{
		{"not found", 404, [2]string{}, NotFound, true, 0},
		{"gone", 410, [2]string{}, NotFound, true, 0},
		{"forbidden", 403, [2]string{}, Refused, true, 0},
		{"unauthorised", 401, [2]string{}, Refused, true, 0},
		{"teapot", 418, [2]string{}, Refused, true, 0},
		{"too many requests", 429, [2]string{"Retry-After", "7"}, RateLimited, false, 7 * time.Second},
		{"too many requests, no time", 429, [2]string{}, RateLimited, false, 0},
		{"too many requests, date", 429, [2]string{"Retry-After", "Mon, 02 Jan 2006 15:05:05 GMT"}, RateLimited, false, time.Minute},
		{"too many requests, a year", 429, [2]string{"Retry-After", "31536000"}, RateLimited, false, time.Hour},
		{"too many requests, nonsense", 429, [2]string{"Retry-After", "-5"}, RateLimited, false, 0},
		{"request timeout", 408, [2]string{}, TimedOut, false, 0},
		{"too early", 425, [2]string{}, TimedOut, false, 0},
		{"server error", 500, [2]string{}, ServerError, false, 0},
		{"unavailable", 503, [2]string{"Retry-After", "3"}, ServerError, false, 3 * time.Second},
		{"no content", 204, [2]string{}, BadAnswer, true, 0},
		{"choices without a way", 300, [2]string{}, BadAnswer, true, 0},
		{"compressed", 200, [2]string{"Content-Encoding", "gzip"}, BadAnswer, true, 0},
		{"huge head", 200, [2]string{"X-Long", strings.Repeat("x", 80<<10)}, Unreachable, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if tt.head[0] != "" {
					w.Header().Set(tt.head[0], tt.head[1])
				}
				w.WriteHeader(tt.status)
				if tt.status == 200 {
					_, _ = w.Write(squeezed.Bytes())
				}
			})
			c := client(t, Config{Allow: []string{addr}})
			c.now = func() time.Time { return time.Date(2006, 1, 2, 15, 4, 5, 0, time.UTC) }
			_, err := c.Fetch(t.Context(), "http://"+addr+"/a?k=secret")
			e := wantError(t, err, tt.code)
			if e.Permanent() != tt.permanent || e.RetryAfter != tt.after {
				t.Errorf("permanent %v after %s, want %v after %s", e.Permanent(), e.RetryAfter, tt.permanent, tt.after)
			}
			if !strings.Contains(err.Error(), "http://"+addr+"/a ") {
				t.Errorf("error %q does not name the address", err)
			}
		})
	}
}

func TestTheCap(t *testing.T) {
	t.Parallel()
	const limit = 1000
	for _, tt := range []struct {
		path string
		want Code // empty: all of it comes
	}{{"/exact", ""}, {"/over", TooLarge}, {"/endless", TooLarge}, {"/lying", TooLarge}, {"/short", Unreachable}} {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/exact":
					_, _ = w.Write(make([]byte, limit))
				case "/over":
					_, _ = w.Write(make([]byte, limit+1))
				case "/endless":
					for r.Context().Err() == nil {
						if _, err := w.Write(make([]byte, limit)); err != nil {
							return
						}
						w.(http.Flusher).Flush()
					}
				case "/lying": // says that more comes than may; nothing is waited for
					w.Header().Set("Content-Length", "999999999")
					w.(http.Flusher).Flush()
					<-r.Context().Done()
				case "/short":
					w.Header().Set("Content-Length", "900")
					_, _ = w.Write(make([]byte, 100))
				}
			})
			body, err := client(t, Config{Allow: []string{addr}, MaxBytes: limit}).Fetch(t.Context(), "http://"+addr+tt.path)
			if tt.want == "" {
				if err != nil || len(body) != limit {
					t.Errorf("got %d bytes, %v", len(body), err)
				}
				return
			}
			_ = wantError(t, err, tt.want)
		})
	}
}

func TestSlowServers(t *testing.T) {
	t.Parallel()
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "a little")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	})
	for path, cfg := range map[string]Config{
		"/head": {HeaderTimeout: 20 * time.Millisecond},
		"/body": {Timeout: 50 * time.Millisecond},
	} {
		cfg.Allow = []string{addr}
		_, err := client(t, cfg).Fetch(t.Context(), "http://"+addr+path+"?k=secret")
		if e := wantError(t, err, TimedOut); e.Permanent() {
			t.Errorf("%s: a slow server is given up", path)
		}
	}
	// The caller's own end is not the far side's fault.
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("job cancelled")
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	if _, err := client(t, Config{Allow: []string{addr}}).Fetch(ctx, "http://"+addr+"/body"); !errors.Is(err, why) {
		t.Errorf("error is %v, want the context's cause", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	c := client(t, Config{Allow: []string{addr}})
	_, err = c.Fetch(t.Context(), "http://"+addr+"/?k=secret")
	if e := wantError(t, err, Unreachable); e.Permanent() || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error is %q", err)
	}
	_, err = c.Fetch(t.Context(), "http://no-such-host.invalid/?k=secret")
	if e := wantError(t, err, Unreachable); e.Permanent() {
		t.Errorf("error is %q", err)
	}
}

// Not parallel: it sets the environment.
func TestNoProxy(t *testing.T) {
	var hits atomic.Int32
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://"+proxy)
	}
	c := client(t, Config{Allow: []string{proxy}})
	if _, err := c.Fetch(t.Context(), "http://169.254.169.254/"); err == nil {
		t.Error("a forbidden address was fetched")
	}
	if hits.Load() != 0 {
		t.Error("a request went through the proxy")
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"http://user:pw@h:8000/a/b.jpg?k=v#f":   "http://h:8000/a/b.jpg",
		"http://h":                              "http://h",
		"http://h/a%2Fb%20c.jpg":                "http://h/a%2Fb%20c.jpg",
		"mailto:someone@example.com":            "(unreadable address)",
		"http://[":                              "(unreadable address)",
		"http://h/" + strings.Repeat("x", 9000): "http://h/...",
	} {
		if got := Redact(raw); got != want {
			t.Errorf("%.40s became %q, want %q", raw, got, want)
		}
	}
}
