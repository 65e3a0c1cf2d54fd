package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"handoff/shared/spool"
)

func open(t *testing.T, dataDir string) *spool.Spool {
	t.Helper()
	s, err := spool.Open(dataDir, "mail", ".eml")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestPutReplacesTheFileOfAKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made")
	s := open(t, dir)
	for _, text := range []string{"first", "second"} {
		path, err := s.Put("job-1.mailer", strings.NewReader(text))
		if err != nil || path != "mail/job-1.mailer.eml" {
			t.Fatalf("Put: %q, %v", path, err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(b) != text {
			t.Errorf("the file holds %q, %v, want %q", b, err, text)
		}
	}
	if got := list(t, filepath.Join(dir, "mail")); len(got) != 1 {
		t.Errorf("the folder holds %v", got)
	}
}

func TestKeysStayInTheFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for _, key := range []string{"../x", "a/b", "/etc/x"} {
		if _, err := s.Put(key, strings.NewReader("x")); !errors.Is(err, spool.ErrName) {
			t.Errorf("key %q: %v, want ErrName", key, err)
		}
	}
	if got := list(t, dir); len(got) != 1 {
		t.Errorf("DATA_DIR holds %v", got)
	}
}

func TestFolderThatCanNotBeWrittenIsFoundOutAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := spool.Open(file, "mail", ".eml"); err == nil {
		t.Error("it took a file for DATA_DIR")
	}
	if runtime.GOOS != "linux" {
		return // /proc is what root can't write to either
	}
	dir := t.TempDir()
	if err := os.Symlink("/proc", filepath.Join(dir, "mail")); err != nil {
		t.Fatal(err)
	}
	if _, err := spool.Open(dir, "mail", ".eml"); err == nil {
		t.Error("it took a folder that can't be written")
	}
}

func TestOpenRemovesWhatAKilledProcessHasLeft(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	open(t, data)
	dir := filepath.Join(data, "mail")
	long := time.Now().Add(-time.Hour)
	for name, at := range map[string]time.Time{
		"job-1.mailer.eml":     long,
		"job-1.mailer.eml.bak": long,
		"notes.txt":            long,
		"job-2.mailer.eml4711": long,       // left by a process that was killed
		"job-3.mailer.eml4711": time.Now(), // perhaps another's, who is at it
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	open(t, data)
	want := []string{"job-1.mailer.eml", "job-1.mailer.eml.bak", "job-3.mailer.eml4711", "notes.txt"}
	if got := list(t, dir); !slices.Equal(got, want) {
		t.Errorf("the folder holds %v, want %v", got, want)
	}
}
