package e2e_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A source serves one picture, as slowly as a test wants it.
type source struct {
	url  string
	addr string // host:port, for IMAGE_ALLOW

	pictures atomic.Bool // whatever is asked for is a picture

	mu      sync.Mutex
	blocked chan struct{} // nil when open
	over    chan struct{} // closed with the test
	begun   int           // requests that have come
	cut     int           // those that whoever asked has given up
}

// asked is nil when so many have begun to ask for the picture, and so many of them have given up.
func (s *source) asked(begun, cut int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun != begun || s.cut != cut {
		return fmt.Errorf("%d have asked, and %d of them have given up", s.begun, s.cut)
	}
	return nil
}

func newSource(t *testing.T) *source {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 640, 480))
	for y := range 480 {
		for x := range 640 {
			img.Set(x, y, color.RGBA{R: uint8(x / 3), G: uint8(y / 2), B: 90, A: 255}) //nolint:gosec // both fit
		}
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, img); err != nil {
		t.Fatal(err)
	}
	src := &source{over: make(chan struct{})}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".txt") && !src.pictures.Load() {
			_, _ = w.Write([]byte("this is no picture"))
			return
		}
		src.wait(r)
		_, _ = w.Write(picture.Bytes()) // whoever asked may be gone
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(src.over) })
	src.url, src.addr = srv.URL+"/picture.png", strings.TrimPrefix(srv.URL, "http://")
	return src
}

// block keeps the picture back until open is called.
func (s *source) block() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocked = make(chan struct{})
}

// open hands the picture out, to those who wait for it too.
func (s *source) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocked != nil {
		close(s.blocked)
		s.blocked = nil
	}
}

func (s *source) wait(r *http.Request) {
	s.mu.Lock()
	s.begun++
	blocked := s.blocked
	s.mu.Unlock()
	if blocked == nil {
		return
	}
	select {
	case <-blocked:
	case <-s.over:
	case <-r.Context().Done():
		s.mu.Lock()
		s.cut++
		s.mu.Unlock()
	}
}

// picturesOnly has whatever is asked for be a picture from now on.
func (s *source) picturesOnly() { s.pictures.Store(true) }
