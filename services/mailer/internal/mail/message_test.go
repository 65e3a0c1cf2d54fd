package mail_test

import (
	"bytes"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"handoff/services/mailer/internal/mail/mailtest"
)

// parsed is a message as a mail program reads it.
type parsed struct {
	header     netmail.Header
	to         *netmail.Address
	subject    string
	text, html string
}

func parse(t *testing.T, b []byte) parsed {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("read message: %v\n%s", err, b)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 1 {
		t.Fatalf("To is %q (%v), want one address", m.Header.Get("To"), err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatalf("Subject: %v", err)
	}
	mediaType, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/alternative" {
		t.Fatalf("Content-Type is %q (%v)", m.Header.Get("Content-Type"), err)
	}
	p := parsed{header: m.Header, to: to[0], subject: subject}
	parts := multipart.NewReader(m.Body, params["boundary"])
	p.text = part(t, parts, "text/plain")
	p.html = part(t, parts, "text/html") // last: the preferred one
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Errorf("after both parts: %v, want the end", err)
	}
	return p
}

func part(t *testing.T, r *multipart.Reader, want string) string {
	t.Helper()
	p, err := r.NextRawPart()
	if err != nil {
		t.Fatalf("part %s: %v", want, err)
	}
	mediaType, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
	if err != nil || mediaType != want || !strings.EqualFold(params["charset"], "utf-8") {
		t.Errorf("part is %q (%v), want %s in UTF-8", p.Header.Get("Content-Type"), err, want)
	}
	if enc := p.Header.Get("Content-Transfer-Encoding"); enc != "quoted-printable" {
		t.Fatalf("encoding of %s is %q", want, enc)
	}
	b, err := io.ReadAll(quotedprintable.NewReader(p))
	if err != nil {
		t.Fatalf("part %s: %v", want, err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

func render(t *testing.T, username, email string) []byte {
	t.Helper()
	b, err := mailtest.Message(t, mailtest.Event("job-1", username, email)).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMessageHasEveryHeader(t *testing.T) {
	t.Parallel()
	p := parse(t, render(t, "Zoë", "zoe@example.org"))
	want := map[string]string{
		"From":           `"Handoff" <no-reply@handoff.example>`,
		"To":             `=?utf-8?q?Zo=C3=AB?= <zoe@example.org>`,
		"Subject":        `=?UTF-8?q?Welcome,_Zo=C3=AB!?=`,
		"Message-Id":     "<job-1.mailer@handoff.example>",
		"Date":           "Sun, 01 Mar 2026 12:30:45 +0000",
		"Auto-Submitted": "auto-generated",
		"Mime-Version":   "1.0",
	}
	for key, value := range want {
		if got := p.header.Get(key); got != value {
			t.Errorf("%s is %q, want %q", key, got, value)
		}
	}
	if at, err := p.header.Date(); err != nil || !at.Equal(time.Date(2026, 3, 1, 12, 30, 45, 0, time.UTC)) {
		t.Errorf("Date is %v (%v), want the event's time", at, err)
	}
	if len(p.header) != len(want)+1 { // and Content-Type
		t.Errorf("unexpected header fields: %v", p.header)
	}
	if p.to.Name != "Zoë" || p.subject != "Welcome, Zoë!" {
		t.Errorf("To %q, Subject %q", p.to.Name, p.subject)
	}
	for body, text := range map[string]string{"text": p.text, "html": html.UnescapeString(p.html)} {
		if !strings.Contains(text, "Zoë") || !strings.Contains(text, "zoe@example.org") {
			t.Errorf("the %s names neither user nor address:\n%s", body, text)
		}
	}
}

func TestMessageWithstandsUsernames(t *testing.T) {
	t.Parallel()
	for name, username := range mailtest.NastyUsernames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkMessage(t, render(t, username, "eve@example.org"))
		})
	}
}

func FuzzMessageWithstandsUsernames(f *testing.F) {
	for _, username := range mailtest.NastyUsernames() {
		f.Add(username)
	}
	f.Fuzz(func(t *testing.T, username string) {
		checkMessage(t, render(t, username, "eve@example.org"))
	})
}

// checkMessage checks what has to hold whatever the user's name is.
func checkMessage(t *testing.T, b []byte) {
	t.Helper()
	p := parse(t, b)
	if len(p.header) != 8 {
		t.Errorf("the header has fields that nobody set: %v", p.header)
	}
	for key, values := range p.header {
		if len(values) != 1 {
			t.Errorf("%s is there %d times", key, len(values))
		}
	}
	if p.to.Address != "eve@example.org" {
		t.Errorf("it goes to %q", p.to.Address)
	}
	for what, s := range map[string]string{"To": p.to.Name, "Subject": p.subject} {
		if i := strings.IndexFunc(s, unicode.IsControl); i >= 0 || !utf8.ValidString(s) {
			t.Errorf("%s holds control characters or bad UTF-8: %q", what, s)
		}
		if n := utf8.RuneCountInString(s); n > 120 {
			t.Errorf("%s is %d characters long", what, n)
		}
	}
	if !strings.HasPrefix(p.text, "Hello ") || strings.Count(p.text, "\n") != 6 {
		t.Errorf("the text has lost its shape:\n%s", p.text)
	}
	if i := strings.IndexFunc(p.html, func(r rune) bool { return r < ' ' && r != '\n' }); i >= 0 {
		t.Errorf("the HTML holds control characters: %q", p.html)
	}
	for _, tag := range []string{"<script", "<b>", "<h1"} {
		if strings.Contains(p.html, tag) {
			t.Errorf("the HTML holds %s:\n%s", tag, p.html)
		}
	}
	for i, line := range bytes.SplitAfter(b, []byte("\r\n")) {
		switch line = bytes.TrimSuffix(line, []byte("\r\n")); {
		case bytes.ContainsAny(line, "\r\n"):
			t.Errorf("line %d ends in a bare CR or LF: %q", i+1, line)
		case len(line) > 998: // RFC 5322 §2.1.1
			t.Errorf("line %d is %d bytes long", i+1, len(line))
		case bytes.ContainsFunc(line, func(r rune) bool { return r > unicode.MaxASCII || r == 0 }):
			t.Errorf("line %d is not ASCII: %q", i+1, line)
		}
	}
}

func TestMessageOfAnEventWithoutATimeHasADate(t *testing.T) {
	t.Parallel()
	e := mailtest.Event("job-1", "ada", "ada@example.org")
	e.Time = time.Time{}
	b, err := mailtest.Message(t, e).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if at, err := parse(t, b).header.Date(); err != nil || at.Year() < 2026 {
		t.Errorf("Date is %v (%v), want the present", at, err)
	}
}

func TestMessageWritesDomainsInASCII(t *testing.T) {
	t.Parallel()
	for email, want := range map[string]string{
		"ada@bücher.example":           "ada@xn--bcher-kva.example",
		"ada@BÜCHER.example":           "ada@xn--bcher-kva.example",
		"ada@例え.テスト":                   "ada@xn--r8jz45g.xn--zckzah",
		"Ada.Lovelace+x@Example.ORG":   "Ada.Lovelace+x@Example.ORG",
		"ada@under_score.example":      "ada@under_score.example",
		"a@" + strings.Repeat("b", 63): "a@" + strings.Repeat("b", 63),
		"jörg@bücher.example":          "jörg@xn--bcher-kva.example",
	} {
		if got := parse(t, render(t, "Ada", email)).to.Address; got != want {
			t.Errorf("%s became %q, want %q", email, got, want)
		}
	}
}
