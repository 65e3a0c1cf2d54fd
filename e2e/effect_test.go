package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"handoff/e2e/internal/house"
)

// A user who registers with notifications gets an e-mail that can be read, and the team a notice.
func TestUserWithNotificationsIsMailedAndTold(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t, "MAIL_FROM=The House <house@example.net>").Start()
	var user house.Accepted
	s.Post("/users/with-notifications/", `{"email":"zoe@example.org","username":"Zoë <b>"}`).Is(http.StatusCreated).JSON(&user)
	j := s.AwaitState(user.JobID, "succeeded")
	if len(j.Tasks) != 2 || j.Tasks[0].State != "succeeded" || j.Tasks[1].State != "succeeded" {
		t.Fatalf("the tasks are %+v, want two that succeeded", j.Tasks)
	}

	m := readMail(t, filepath.Join(s.Dir, "mail", user.JobID+".mailer.eml"))
	for header, want := range map[string]string{
		"From": `"The House" <house@example.net>`, "To": `"Zoë <b>" <zoe@example.org>`, "Subject": "Welcome, Zoë <b>!",
		"Message-Id": "<" + user.JobID + ".mailer@example.net>",
	} {
		if m.header[header] != want {
			t.Errorf("%s is %q, want %q", header, m.header[header], want)
		}
	}
	if text := m.bodies["text/plain"]; !strings.Contains(text, "Hello Zoë <b>,") || !strings.Contains(text, "zoe@example.org") {
		t.Errorf("the text is %q", text)
	}
	if html := m.bodies["text/html"]; !strings.Contains(html, "Zoë &lt;b&gt;") || strings.Contains(html, "<b>") {
		t.Errorf("the HTML is %q", html)
	}

	b, err := os.ReadFile(filepath.Join(s.Dir, "notices", user.JobID+".notifier.json"))
	if err != nil {
		t.Fatal(err)
	}
	var notice struct{ Text string }
	if err := json.Unmarshal(b, &notice); err != nil || notice.Text != "New user registered: Zoë <b> (zoe@example.org)!" {
		t.Errorf("the notice is %s (%v)", b, err)
	}
}

// A letter is an e-mail as a person's program shows it.
type letter struct {
	header map[string]string
	bodies map[string]string // by type
}

func readMail(t *testing.T, file string) letter {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%s: %v: %s", file, err, b)
	}
	l := letter{header: map[string]string{}, bodies: map[string]string{}}
	for name := range m.Header {
		if l.header[name], err = new(mime.WordDecoder).DecodeHeader(m.Header.Get(name)); err != nil {
			t.Errorf("%s: %s: %v", file, name, err)
		}
	}
	for _, name := range []string{"From", "To"} {
		list, err := m.Header.AddressList(name)
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %s is not one address: %v", file, name, err)
		}
		l.header[name] = `"` + list[0].Name + `" <` + list[0].Address + `>`
	}
	if _, err := m.Header.Date(); err != nil {
		t.Errorf("%s: Date: %v", file, err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s: the type is %q (%v)", file, kind, err)
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return l
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil || params["charset"] != "UTF-8" {
			t.Errorf("%s: a part is %q %v (%v)", file, kind, params, err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Errorf("%s: %s: %v", file, kind, err)
		}
		l.bodies[kind] = string(body)
	}
}

// The result is a JPEG that fits into 1280 by 1280, with a watermark in its bottom right corner and nowhere else.
func TestPictureIsResizedAndMarked(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t).Start()
	original := picture(t, s.Get("/samples/landscape.jpg").Is(http.StatusOK))
	if size := original.Bounds().Size(); size.X <= 1280 && size.Y <= 1280 {
		t.Fatalf("the sample has %v: too small to show that it is resized", size)
	}
	plain, marked := s.Picture(s.SampleURL, `["resize","compress"]`), s.Picture(s.SampleURL, `["resize","compress","watermark"]`)
	var pictures []image.Image
	for _, id := range []string{plain, marked} {
		j := s.AwaitState(id, "succeeded")
		p := picture(t, s.Get(j.ResultURL).Is(http.StatusOK))
		size, want := p.Bounds().Size(), original.Bounds().Size()
		if max(size.X, size.Y) != 1280 || size.X*want.Y/want.X-size.Y > 1 || size.Y-size.X*want.Y/want.X > 1 {
			t.Fatalf("the result has %v, of %v", size, want)
		}
		pictures = append(pictures, p)
	}
	area, strongest := changed(pictures[0], pictures[1])
	size := pictures[0].Bounds().Size()
	corner := image.Rect(size.X/2, size.Y*3/4, size.X, size.Y)
	if strongest < 60 || area.Dx() < size.X/20 || area.Dy() < 10 || !area.In(corner) {
		t.Errorf("the watermark covers %v by %d of 255, want it to be seen within %v", area, strongest, corner)
	}
}

func picture(t *testing.T, a *house.Answer) image.Image {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(a.Body))
	if err != nil {
		t.Fatalf("%s: %v", a.Request, err)
	}
	return img
}

// changed gives the part in which two pictures differ by more than compression can make them, and by how much of 255.
func changed(a, b image.Image) (area image.Rectangle, strongest int) {
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			ar, ag, ab, _ := a.At(x, y).RGBA()
			br, bg, bb, _ := b.At(x, y).RGBA()
			most := slices.Max([]int{apart(ar, br), apart(ag, bg), apart(ab, bb)})
			if strongest = max(strongest, most); most > 24 {
				area = area.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return area, strongest
}

func apart(a, b uint32) int { return max(int(a)-int(b), int(b)-int(a)) >> 8 }
