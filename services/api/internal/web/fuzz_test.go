package web_test

import (
	"net/mail"
	"net/url"
	"testing"
	"time"

	"handoff/services/api/internal/web"
)

func FuzzAcceptedEmailIsOnePlainAddress(f *testing.F) {
	for _, s := range []string{"a@b.co", "üñ@exämple.org", "a@b", "Ada <a@b.co>", "a@[127.0.0.1]", "a\r\nb@c.de", `"a b"@c.de`, "a@b.co.", "१@२.कॉम"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if web.CheckEmail(s) != nil {
			return
		}
		a, err := mail.ParseAddress(s)
		if err != nil || a.Name != "" || a.Address != s {
			t.Errorf("accepted %q, which net/mail reads as %+v, %v", s, a, err)
		}
	})
}

func FuzzAcceptedImageURLCanBeFetched(f *testing.F) {
	for _, s := range []string{"http://example.org/a.jpg", "https://[::1]:80/", "http://a@b/", "//b/", "http://b:x/", "HTTP://b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if web.CheckImageURL(s) != nil {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			t.Errorf("accepted %q: %+v, %v", s, u, err)
		}
	})
}

func FuzzOperations(f *testing.F) {
	for _, s := range []string{`["resize"]`, `[{"name":"compress","quality":80}]`, `[{"name":"a"},{"name":"resize","name":"x"}]`, `[null]`, `{}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ops, ok := web.ReadOperations(b)
		if !ok {
			return
		}
		seen := map[string]bool{}
		for _, op := range ops {
			if seen[op.Name] || op.Name != "resize" && op.Name != "compress" && op.Name != "watermark" {
				t.Errorf("%s: accepted %q", b, op.Name)
			}
			seen[op.Name] = true
		}
	})
}

func FuzzWait(f *testing.F) {
	for _, s := range []string{"10s", "10", "wait=5", "respond-async, wait=\"7\"; x=1", "1e400", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := web.ParseWait(s); err == nil && (d < 0 || d > time.Minute) {
			t.Errorf("%q is %s", s, d)
		}
		if d, _ := web.PreferredWait(s); d < 0 || d > time.Minute {
			t.Errorf("%q is %s", s, d)
		}
	})
}
