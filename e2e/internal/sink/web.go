package sink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Post is one message that the channel has taken.
type Post struct {
	Text string // as a reader sees it
	At   time.Time
}

// A Channel is what stands behind a webhook of Discord.
type Channel struct {
	URL string // as for DISCORD_WEBHOOK_URL

	mu  sync.Mutex
	got []Post
}

// NewChannel starts one. A post counts once it is there whole; the answer to it comes after takes.
func NewChannel(t testing.TB, takes time.Duration) *Channel {
	t.Helper()
	c := &Channel{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // it broke off, and so it is not taken
		}
		var p struct {
			Content string `json:"content"`
		}
		if err := json.Unmarshal(body, &p); err != nil || p.Content == "" || r.Method != http.MethodPost {
			http.Error(w, `{"message":"Cannot send an empty message","code":50006}`, http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		c.got = append(c.got, Post{Text: strings.ReplaceAll(p.Content, `\`, ""), At: time.Now()})
		n := len(c.got)
		c.mu.Unlock()
		time.Sleep(takes)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"id":"%d"}`, n) // whoever asked may be gone
	}))
	t.Cleanup(srv.Close)
	c.URL = srv.URL + "/api/webhooks/1/token"
	return c
}

// Posts gives what was taken so far.
func (c *Channel) Posts() []Post {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Post(nil), c.got...)
}

// A Gallery serves one small picture.
type Gallery struct {
	URL  string
	Addr string // host:port, for IMAGE_ALLOW
}

// NewGallery starts one, which takes a moment for each request.
func NewGallery(t testing.TB, takes time.Duration) *Gallery {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 160, 120))
	for y := range 120 {
		for x := range 160 {
			img.Set(x, y, color.RGBA{R: uint8(x), G: uint8(y), B: 90, A: 255}) //nolint:gosec // both fit
		}
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, img); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(takes)
		_, _ = w.Write(picture.Bytes()) // whoever asked may be gone
	}))
	t.Cleanup(srv.Close)
	return &Gallery{URL: srv.URL + "/picture.png", Addr: strings.TrimPrefix(srv.URL, "http://")}
}
