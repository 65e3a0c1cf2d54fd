package noticefile_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"handoff/services/notifier/internal/notice"
	"handoff/services/notifier/internal/notice/noticetest"
	"handoff/services/notifier/internal/noticefile"
)

// folder reads what a Poster has written.
type folder string

func (f folder) Texts(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(string(f))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(string(f), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		var n notice.Notice
		if err := json.Unmarshal(b, &n); err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		texts = append(texts, n.Text)
	}
	return texts
}

func newPoster(t *testing.T) (*noticefile.Poster, folder) {
	t.Helper()
	dir := t.TempDir()
	p, err := noticefile.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p, folder(filepath.Join(dir, noticefile.Folder))
}

func TestPosterKeepsTheContract(t *testing.T) {
	t.Parallel()
	noticetest.Run(t, func(t *testing.T) (notice.Poster, noticetest.Board) {
		p, dir := newPoster(t)
		return p, dir
	})
}

func TestPosterWritesTheSameFileAgain(t *testing.T) {
	t.Parallel()
	p, dir := newPoster(t)
	n := notice.Compose(noticetest.Event("job-1", "Zoë <b>", "zoe@example.org"))
	path := filepath.Join(string(dir), "job-1.notifier.json")
	if err := os.WriteFile(path, []byte(`{"half`), 0o600); err != nil { // what a machine may leave that lost its power
		t.Fatal(err)
	}
	const want = `{
  "key": "job-1.notifier",
  "time": "2026-03-01T12:30:45Z",
  "text": "New user registered: Zoë <b> (zoe@example.org)!",
  "user_id": "user-1",
  "username": "Zoë <b>",
  "email": "zoe@example.org"
}
`
	for range 3 {
		got, err := p.Post(t.Context(), n)
		if receipt := (notice.Receipt{Driver: "file", File: "notices/job-1.notifier.json"}); err != nil || got != receipt {
			t.Fatalf("Post = %+v, %v; want %+v", got, err, receipt)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Fatalf("the file holds %s (%v), want %s", b, err, want)
		}
	}
	if got := dir.Texts(t); len(got) != 1 {
		t.Errorf("the folder holds %d files, want one", len(got))
	}
}

func TestPosterReportsWhatTheDiskSays(t *testing.T) {
	t.Parallel()
	n := notice.Compose(noticetest.Event("job-1", "ada", "ada@example.org"))
	p, dir := newPoster(t)
	if err := os.Remove(string(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Post(t.Context(), n); err == nil || errors.Is(err, notice.ErrRefused) {
		t.Errorf("Post without a folder: %v, want an error that another attempt may cure", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := noticefile.New(file); err == nil {
		t.Error("New took a file for DATA_DIR")
	}
	n.Key = "../x"
	if _, err := p.Post(t.Context(), n); !errors.Is(err, notice.ErrRefused) {
		t.Errorf("Post of %q: %v, want a refusal", n.Key, err)
	}
}
