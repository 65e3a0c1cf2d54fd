package smtp_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"handoff/shared/natstest"
)

// mailpit is a real SMTP server whose mail can be read over HTTP.
type mailpit struct {
	smtp string // host:port
	http string
}

// startMailpit starts one with the given flags and stops it with the test. Without the program the test is skipped, but
// never where CI=true.
func startMailpit(t *testing.T, flags ...string) *mailpit {
	t.Helper()
	path, err := exec.LookPath("mailpit")
	if err != nil {
		const reason = "NOT TESTED against a real SMTP server: there is no mailpit on PATH " +
			"(go install github.com/axllent/mailpit@v1.27.11)"
		if os.Getenv("CI") == "true" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	// Another process may take a port between its choice here and mailpit's listening: then choose again.
	for range 5 {
		m := &mailpit{smtp: natstest.Addr(t), http: natstest.Addr(t)}
		if m.start(t, path, flags) {
			return m
		}
	}
	t.Fatal("mailpit does not start")
	return nil
}

func (m *mailpit) start(t *testing.T, path string, flags []string) bool {
	t.Helper()
	logPath := filepath.Join(t.TempDir(), "mailpit.log")
	// Not t.Context: that ends before the cleanups that still read mail.
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, append([]string{
		"--smtp", m.smtp, "--listen", m.http, "--database", filepath.Join(t.TempDir(), "mail.db"), "--disable-version-check",
		"--smtp-disable-rdns", "--log-file", logPath,
	}, flags...)...)
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("start mailpit: %v", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })

	deadline := time.After(20 * time.Second)
	for {
		if m.answers() {
			return true
		}
		select {
		case <-ended:
			b, _ := os.ReadFile(logPath)
			t.Logf("mailpit ended: %s", b)
			return false
		case <-deadline:
			t.Fatal("mailpit does not answer")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (m *mailpit) answers() bool {
	conn, err := net.Dial("tcp", m.smtp)
	if err != nil {
		return false
	}
	_ = conn.Close()
	resp, err := http.Get("http://" + m.http + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Messages implements mailtest.Inbox.
func (m *mailpit) Messages(t *testing.T, id string) [][]byte {
	t.Helper()
	var list struct {
		Messages []struct {
			ID        string
			MessageID string
		} `json:"messages"`
	}
	if err := json.Unmarshal(m.get(t, "/api/v1/messages?limit=500"), &list); err != nil {
		t.Fatalf("list mail: %v", err)
	}
	var found [][]byte
	for _, msg := range list.Messages {
		if msg.MessageID == id {
			found = append(found, m.get(t, "/api/v1/message/"+msg.ID+"/raw"))
		}
	}
	return found
}

// read gives the only message with the Message-ID id as mailpit understands it.
func (m *mailpit) read(t *testing.T, id string) (msg struct {
	Subject    string
	Text       string
	HTML       string
	From       struct{ Name, Address string }
	To, Bcc    []struct{ Name, Address string }
	ReturnPath string
},
) {
	t.Helper()
	var list struct {
		Messages []struct{ ID, MessageID string } `json:"messages"`
	}
	if err := json.Unmarshal(m.get(t, "/api/v1/messages?limit=500"), &list); err != nil {
		t.Fatalf("list mail: %v", err)
	}
	for _, found := range list.Messages {
		if found.MessageID != id {
			continue
		}
		if err := json.Unmarshal(m.get(t, "/api/v1/message/"+found.ID), &msg); err != nil {
			t.Fatalf("read mail: %v", err)
		}
		return msg
	}
	t.Fatalf("no message %s", id)
	return msg
}

func (m *mailpit) get(t *testing.T, path string) []byte {
	t.Helper()
	resp, err := http.Get("http://" + m.http + path)
	if err != nil {
		t.Fatalf("ask mailpit: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("ask mailpit for %s: %s, %v", path, resp.Status, err)
	}
	return b
}
