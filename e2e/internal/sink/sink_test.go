package sink_test

import (
	"net/http"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"handoff/e2e/internal/sink"
)

func TestMailboxCountsWhatItTook(t *testing.T) {
	t.Parallel()
	m := sink.NewMailbox(t, 0)
	const message = "Message-ID: <job-1.mailer@example.org>\r\nSubject: hello\r\n\r\n.a line with a dot\r\n"
	for range 2 {
		if err := smtp.SendMail(m.Addr, nil, "house@example.org", []string{"ada@example.org"}, []byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := smtp.Dial(m.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("ada@example.org"); err == nil {
		t.Error("it takes a recipient without a sender")
	}
	if err := c.Mail("house@example.org"); err != nil {
		t.Error(err)
	}
	if err := c.Rcpt("bob@example.org"); err != nil {
		t.Error(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(message)); err != nil { // without the dot that ends it
		t.Fatal(err)
	}
	if err := c.Text.Close(); err != nil {
		t.Fatal(err)
	}
	got := m.Letters()
	if len(got) != 2 || got[0].To != "ada@example.org" || got[0].MessageID != "job-1.mailer@example.org" {
		t.Errorf("it took %+v, want two to ada", got)
	}
}

func TestChannelCountsWhatItTook(t *testing.T) {
	t.Parallel()
	c := sink.NewChannel(t, 0)
	for body, want := range map[string]int{`{"content":"ada \\(ada\\@example.org\\)"}`: http.StatusOK, `{}`: http.StatusBadRequest} {
		resp, err := http.Post(c.URL, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", body, resp.Status, want)
		}
	}
	if got := c.Posts(); len(got) != 1 || got[0].Text != "ada (ada@example.org)" {
		t.Errorf("it took %+v", got)
	}
}

func TestWireHoldsWhatComesWhileItIsCut(t *testing.T) {
	t.Parallel()
	m := sink.NewMailbox(t, 0)
	w := sink.NewWire(t, m.Addr)
	send := func() error {
		return smtp.SendMail(w.Addr, nil, "house@example.org", []string{"ada@example.org"}, []byte("Message-ID: <a>\r\n\r\nhello\r\n"))
	}
	if err := send(); err != nil {
		t.Fatal(err)
	}
	w.Cut()
	sent := make(chan error)
	go func() { sent <- send() }()
	select {
	case err := <-sent:
		t.Errorf("it came through: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	w.Mend()
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if got := m.Letters(); len(got) != 2 {
		t.Errorf("%d letters came, want 2", len(got))
	}
}
