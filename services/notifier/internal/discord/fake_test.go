package discord

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"handoff/services/notifier/internal/notice"
)

const token = "s3cret-t0ken_abcdefghijklmnopqrstuvwxyz"

// channel is a Discord channel behind a webhook, over real HTTP. It answers with the replies in their order, then with 200.
type channel struct {
	*httptest.Server

	mu       sync.Mutex
	replies  []http.HandlerFunc
	requests []*http.Request
	bodies   []string
}

func startChannel(t *testing.T, replies ...http.HandlerFunc) *channel {
	t.Helper()
	c := &channel{replies: replies}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *channel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	c.requests = append(c.requests, r)
	c.bodies = append(c.bodies, string(b))
	id := len(c.bodies)
	reply := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"id":"%d","channel_id":"7"}`, id)
	})
	if len(c.replies) > 0 {
		reply, c.replies = c.replies[0], c.replies[1:]
	}
	c.mu.Unlock()
	reply(w, r)
}

func (c *channel) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.bodies)
}

// Texts implements noticetest.Board: it shows a backslash before punctuation no more than Discord does.
func (c *channel) Texts(t *testing.T) []string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var texts []string
	for _, body := range c.bodies {
		var p payload
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, unescape(p.Content))
	}
	return texts
}

func unescape(s string) string {
	var b strings.Builder
	escaped := false
	for _, r := range s {
		if r == '\\' && !escaped {
			escaped = true
			continue
		}
		escaped = false
		b.WriteRune(r)
	}
	return b.String()
}

func (c *channel) poster(t *testing.T) *Poster {
	t.Helper()
	w, err := ParseWebhook(c.URL + "/api/webhooks/1234/" + token)
	if err != nil {
		t.Fatal(err)
	}
	p := New(w)
	t.Cleanup(p.Close)
	return p
}

// answer is a reply with a status, a body and header fields given as key, value.
func answer(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func hello() notice.Notice {
	return notice.Notice{Key: "job-1.notifier", Text: "New user registered: ada (ada@example.org)!"}
}
