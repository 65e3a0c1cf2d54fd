package eml_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"handoff/services/mailer/internal/eml"
	"handoff/services/mailer/internal/mail"
	"handoff/services/mailer/internal/mail/mailtest"
)

// folder reads what a Sender has written.
type folder string

func (f folder) Messages(t *testing.T, id string) [][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(string(f), "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	var found [][]byte
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "<"+id+">") {
			found = append(found, b)
		}
	}
	return found
}

func newSender(t *testing.T) (*eml.Sender, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := eml.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, filepath.Join(dir, eml.Folder)
}

func TestSenderKeepsTheContract(t *testing.T) {
	t.Parallel()
	s, dir := newSender(t)
	mailtest.Run(t, s, folder(dir))
}

func TestSenderNamesTheFileAfterTheKey(t *testing.T) {
	t.Parallel()
	s, dir := newSender(t)
	m := mailtest.Message(t, mailtest.Event("job-1", "Ada", "ada@example.org"))
	got, err := s.Send(t.Context(), m)
	if want := (mail.Receipt{Driver: "file", File: "mail/job-1.mailer.eml"}); err != nil || got != want {
		t.Fatalf("Send = %+v, %v; want %+v", got, err, want)
	}
	if names := list(t, dir); len(names) != 1 || names[0] != "job-1.mailer.eml" {
		t.Errorf("the folder holds %v, want the message and nothing beside it", names)
	}
	if !s.Simulated() {
		t.Error("a file is no delivery: Simulated is false")
	}
}

func TestSenderWritesTheSameFileAgain(t *testing.T) {
	t.Parallel()
	s, dir := newSender(t)
	m := mailtest.Message(t, mailtest.Event("job-1", "Ada", "ada@example.org"))
	path := filepath.Join(dir, "job-1.mailer.eml")
	if err := os.WriteFile(path, []byte("half a mess"), 0o600); err != nil { // what a machine may leave that lost its power
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := m.Bytes(); string(got) != string(want) {
		t.Errorf("the file holds\n%s\nwant\n%s", got, want)
	}
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("the folder holds %v, want one file", names)
	}
}

func TestSenderReportsWhatTheDiskSays(t *testing.T) {
	t.Parallel()
	m := mailtest.Message(t, mailtest.Event("job-1", "Ada", "ada@example.org"))
	t.Run("the folder is gone", func(t *testing.T) {
		t.Parallel()
		s, dir := newSender(t)
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		retried(t, s, m)
	})
	t.Run("something else has the name", func(t *testing.T) {
		t.Parallel()
		s, dir := newSender(t)
		if err := os.MkdirAll(filepath.Join(dir, "job-1.mailer.eml", "x"), 0o755); err != nil {
			t.Fatal(err)
		}
		retried(t, s, m)
		if names := list(t, dir); len(names) != 1 {
			t.Errorf("a failed attempt left %v behind", names)
		}
	})
	t.Run("the folder can't be made", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := eml.New(file); err == nil {
			t.Error("New took a file for DATA_DIR")
		}
	})
}

func retried(t *testing.T, s *eml.Sender, m *mail.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := s.Send(ctx, m)
	if err == nil || errors.Is(err, mail.ErrRefused) {
		t.Errorf("Send: %v, want an error that another attempt may cure", err)
	}
}

func TestSenderStaysInItsFolder(t *testing.T) {
	t.Parallel()
	s, dir := newSender(t)
	m := mailtest.Message(t, mailtest.Event("job-1", "Ada", "ada@example.org"))
	for _, key := range []string{"../x", "a/b", "/etc/x"} {
		m.Key = key
		if _, err := s.Send(t.Context(), m); !errors.Is(err, mail.ErrRefused) {
			t.Errorf("key %q: %v, want a refusal", key, err)
		}
	}
	if names := list(t, filepath.Dir(dir)); len(names) != 1 {
		t.Errorf("DATA_DIR holds %v", names)
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
