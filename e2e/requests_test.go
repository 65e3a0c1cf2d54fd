package e2e_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"handoff/e2e/internal/house"
)

func TestRequestsOfOneProcess(t *testing.T) {
	t.Parallel()
	requests(t, home(t).Together(t).Start())
}

// The NATS server comes last: services wait for it and say so.
func TestRequestsOfSixProcesses(t *testing.T) {
	t.Parallel()
	s := home(t).Apart(t)
	for _, name := range house.Services() {
		s.Program(name).Start()
	}
	for _, name := range house.Services() {
		house.Eventually(t, name+" says what it waits for", func() error {
			lines, rest := s.Program(name).Stderr.Lines()
			for _, l := range lines {
				if l.Msg == "Waiting for NATS" && l.Service == name {
					return nil
				}
			}
			return fmt.Errorf("the log is %v %s", lines, rest)
		})
		house.Eventually(t, name+" says that it is not ready", func() error {
			if err := s.Ready(name); err == nil || !strings.Contains(err.Error(), "503 no connection to NATS") {
				return fmt.Errorf("it says %w", err)
			}
			return nil
		})
	}
	// A store that has never met its NATS can't know which addresses are taken.
	body, _ := s.Registration()
	if a := s.Post("/users/", body).Is(http.StatusServiceUnavailable); a.Header.Get("Retry-After") == "" {
		t.Errorf("a 503 without Retry-After: %v", a.Header)
	}
	s.Get("/readyz").Is(http.StatusServiceUnavailable)
	s.Get("/livez").Is(http.StatusOK)
	s.Program(house.NATSServer).Start()
	s.AwaitReady()
	requests(t, s)
}

func requests(t *testing.T, s *house.Site) {
	user := s.Register("/users/")
	picture := s.Picture(s.SampleURL, `["resize","compress","watermark"]`)
	s.Register("/users/") // so that a page of one user has a next one
	s.AwaitState(user.JobID, "succeeded")
	s.AwaitState(picture, "succeeded")
	t.Run("too large", func(t *testing.T) {
		t.Parallel()
		tooLarge(t, s.URL)
	})
	for _, table := range [][]request{accepts(), refusals(), reads(), pages()} {
		for _, r := range table {
			for _, path := range bothForms(r.path) {
				t.Run(r.name+" "+path, func(t *testing.T) {
					t.Parallel()
					_, fresh := s.Registration()
					fill := strings.NewReplacer("{user}", user.ID, "{job}", user.JobID, "{picture}", picture, "{sample}", s.SampleURL,
						"{new}", fresh, "{taken}", user.Email, "{TAKEN}", strings.ToUpper(user.Email))
					ask(t, s.With(t), r, path, fill.Replace)
				})
			}
		}
	}
}

func ask(t *testing.T, c *house.Client, r request, path string, fill func(string) string) {
	path = fill(path)
	var headers []string
	if r.header != "" {
		headers = append(headers, r.header)
	}
	a := c.Do(r.method, path, fill(r.body), headers...).Is(r.status)
	if !strings.Contains(string(a.Body), fill(r.has)) {
		t.Errorf("the answer does not have %q: %.500s", r.has, a.Body)
	}
	if r.status >= 400 && r.path != "/readyz" {
		problem(t, a, path)
	}
	if r.check != nil {
		r.check(t, c, a)
	}
}

// tooLarge announces a large body and does not send it: a client that is refused in the middle of sending may see nothing but the
// connection's end.
func tooLarge(t *testing.T, url string) {
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(house.Patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "POST /users/ HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusRequestEntityTooLarge || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %s, %v", resp.Status, resp.Header)
	}
}

// problem checks that a refusal is a problem document (RFC 9457).
func problem(t *testing.T, a *house.Answer, path string) {
	t.Helper()
	var p struct {
		Type, Title, Detail, Instance string
		Status                        int
		Errors                        []struct{ Message, Location string }
	}
	a.JSON(&p)
	path, _, _ = strings.Cut(path, "?")
	if a.Header.Get("Content-Type") != "application/problem+json" || p.Status != a.Status || p.Title == "" || p.Detail == "" || p.Instance != path {
		t.Errorf("no problem document: %v %s", a.Header, a.Body)
	}
	if a.Status == http.StatusUnprocessableEntity && (len(p.Errors) == 0 || p.Errors[0].Message == "" || p.Errors[0].Location == "") {
		t.Errorf("it does not say which value is wrong: %s", a.Body)
	}
}

func bothForms(path string) []string {
	bare, query, asked := strings.Cut(path, "?")
	if asked {
		query = "?" + query
	}
	if bare == "/" {
		return []string{path}
	}
	bare = strings.TrimSuffix(bare, "/")
	return []string{bare + "/" + query, bare + query}
}
