package web_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"handoff/services/api/internal/job"
	"handoff/services/api/internal/sample"
	"handoff/services/api/internal/user"
	"handoff/services/api/internal/web"
	"handoff/shared/event"
)

// samples are drawn once for all tests: under the race detector that takes seconds.
var samples = sample.New()

// full is a world in which every path has something to show.
func full(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.known.users = []user.User{{ID: "u1", Created: created()}}
	w.known.jobs = []*job.Job{imageJob(event.Succeeded, "")}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "handoff_test", Help: "Always 0."}))
	w.opts.Samples, w.opts.Metrics = samples, metrics
	return w
}

// getPaths are those that answer GET with 200.
func getPaths() []string {
	return []string{
		"/users/", "/users/u1", "/jobs/", "/jobs/j1", "/jobs/j1/result", "/services/", "/services/mailer", "/health", "/livez", "/readyz", "/metrics", "/openapi.json",
		"/docs", "/docs/init.js", "/docs/icon.svg", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js",
		"/redoc", "/redoc/init.js", "/redoc/redoc.standalone.js", "/samples/landscape.jpg",
	}
}

// otherForm adds the trailing slash or takes it off.
func otherForm(path string) string {
	if p, ok := strings.CutSuffix(path, "/"); ok {
		return p
	}
	return path + "/"
}

func TestHeadIsGetWithoutItsBody(t *testing.T) {
	t.Parallel()
	c := full(t).start(t)
	for _, path := range getPaths() {
		for _, path := range []string{path, otherForm(path)} {
			get, head := c.get(path).is(200), c.do(http.MethodHead, path, "").is(200)
			if len(head.body) > 0 || head.size != int64(len(get.body)) {
				t.Errorf("%s: HEAD says %d bytes and sends %d, GET sends %d", path, head.size, len(head.body), len(get.body))
			}
			head.has("Content-Type", get.header.Get("Content-Type"))
		}
	}
}

func TestMethodThatAPathDoesNotKnowIs405(t *testing.T) {
	t.Parallel()
	c := full(t).start(t)
	allowed := map[string]string{
		"/users/": "GET, HEAD, POST", "/users/with-notifications/": "GET, HEAD, POST", "/process-image/": "POST",
		"/async-task/": "POST", "/sync-task/": "POST", "/services/mailer/pause": "POST", "/services/mailer/resume": "POST", "/": "GET, HEAD",
	}
	for _, path := range getPaths() {
		if _, ok := allowed[path]; !ok {
			allowed[path] = "GET, HEAD"
		}
	}
	for path, want := range allowed {
		for _, path := range []string{path, otherForm(path)} {
			methods := []string{http.MethodDelete, http.MethodPut, http.MethodPatch, http.MethodOptions}
			if want == "POST" {
				methods = append(methods, http.MethodGet)
			}
			for _, method := range methods {
				if path == "" {
					continue
				}
				a := c.do(method, path, "")
				p := a.problem(405)
				allow := strings.Split(a.header.Get("Allow"), ", ")
				slices.Sort(allow)
				if got := strings.Join(allow, ", "); got != want || p.Instance != path {
					t.Errorf("%s %s: Allow is %q, want %q; instance is %q", method, path, got, want, p.Instance)
				}
			}
		}
	}
}

func TestUnknownPathIs404(t *testing.T) {
	t.Parallel()
	c := newWorld(t).start(t)
	for _, path := range []string{
		"/nothing", "/users/u1/more", "/docs/../secret", "/docs/docs.html", "/redoc/none.js", "/jobs/j1/none", "/static/docs.html",
		"/samples/landscape.jpg", "/metrics", "/<script>alert(1)</script>", "/openapi.yaml", "/schemas/User.json",
	} {
		for _, path := range []string{path, path + "/"} {
			if a := c.get(path); strings.Contains(string(a.body), "<script>") {
				t.Errorf("%s is repeated as it is: %s", path, a.body)
			} else {
				a.problem(404)
			}
		}
	}
	c.post("/nothing", "{}").problem(404)
	if p := c.get("/" + strings.Repeat("a", 4000)).problem(404); len(p.Instance) > 200 {
		t.Errorf("the instance has %d bytes", len(p.Instance))
	}
}

func TestUnreadableRequestsGetProblems(t *testing.T) {
	t.Parallel()
	c := newWorld(t).start(t)
	for name, tt := range map[string]struct{ raw, status string }{
		"unknown method":    {"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", "501"},
		"no HTTP":           {"hello\r\n\r\n", "400"},
		"huge header":       {"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + strings.Repeat("c", 9000) + "\r\n\r\n", "431"},
		"two encodings":     {"POST /users/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", "415"},
		"length is too big": {"POST /users/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000\r\n\r\n", "413"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(c.base, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, tt.raw); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if !strings.HasPrefix(resp.Status, tt.status) || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %s, %s", resp.Status, resp.Header.Get("Content-Type"))
			}
		})
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	c := full(t).start(t)
	for _, path := range append(getPaths(), "/nothing") {
		a := c.get(path).has("X-Content-Type-Options", "nosniff").has("X-Frame-Options", "SAMEORIGIN").has("Access-Control-Allow-Origin", "")
		if !strings.HasPrefix(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: policy is %q", path, a.header.Get("Content-Security-Policy"))
		}
	}
}

func TestDocsPagesLoadNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	c := newWorld(t).start(t)
	for _, path := range []string{"/docs", "/redoc"} {
		page := string(c.get(path).is(200).has("Content-Type", "text/html; charset=utf-8").body)
		if strings.Contains(page, "//") || strings.Contains(page, "<script>") {
			t.Errorf("%s has an address elsewhere or a script in it:\n%s", path, page)
		}
		for _, m := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
			plain, packed := c.get(m[1]).is(200), c.get(m[1], "Accept-Encoding: br, gzip").is(200).has("Content-Encoding", "gzip")
			if len(packed.body) == 0 || string(packed.body) == string(plain.body) {
				t.Errorf("%s is not compressed", m[1])
			}
			c.get(m[1], "If-None-Match: "+plain.header.Get("ETag")).is(304)
		}
	}
	c.get("/").is(302).has("Location", "/docs")
}

func TestSamplePicture(t *testing.T) {
	t.Parallel()
	c := full(t).start(t)
	a := c.get("/samples/landscape.jpg").is(200).has("Content-Type", "image/jpeg")
	c.get("/samples/landscape.jpg", "If-None-Match: "+a.header.Get("ETag")).is(304)
	c.get("/samples/other.jpg").problem(404)
}

func TestProbesAndHealth(t *testing.T) {
	t.Parallel()
	w := full(t)
	var notReady error
	w.opts.Ready = func() error { return notReady }
	w.opts.Health = func(context.Context) web.Health {
		return web.Health{Status: web.Degraded, Reasons: []string{"IMAGES is over 90 %"}, NATS: web.NATSHealth{Connected: true}}
	}
	c := w.start(t)
	c.get("/livez").is(200)
	c.get("/readyz").is(200)
	const want = `{"status":"degraded","reasons":["IMAGES is over 90 %"],"nats":{"connected":true},` +
		`"store":{"bytes":0,"users":0,"jobs":0,"unrelayed":0},"streams":[]}` + "\n"
	if got := string(c.get("/health").is(200).has("Cache-Control", "no-store").body); got != want {
		t.Errorf("health is %s, want %s", got, want)
	}
	notReady = errors.New("catching up")
	if got := string(c.get("/readyz").is(503).body); got != "not ready: catching up\n" {
		t.Errorf("body is %q", got)
	}
	c.get("/livez").is(200)
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	c := newWorld(t).start(t)
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for sent, kept := range map[string]bool{
		"": false, "abc-DEF_1.2": true, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, "<b>": false, "a b": false,
	} {
		got := c.get("/livez", "X-Request-Id: "+sent).header.Get("X-Request-Id")
		if kept != (got == sent) || !kept && !uuid.MatchString(got) {
			t.Errorf("%q became %q", sent, got)
		}
	}
	if got := c.get("/nothing", "X-Request-Id: mine").header.Values("X-Request-Id"); fmt.Sprint(got) != "[mine]" {
		t.Errorf("404 has the ids %q", got)
	}
}
