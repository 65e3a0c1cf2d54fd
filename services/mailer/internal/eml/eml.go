package eml

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/natefinch/atomic"

	"handoff/services/mailer/internal/mail"
)

// Folder is where the files are, below DATA_DIR.
const Folder = "mail"

// A Sender writes messages into a folder. It implements [mail.Sender].
type Sender struct{ dir string }

// New makes the folder below dataDir and finds out whether it can be written. It removes what a killed process has left of a write.
func New(dataDir string) (*Sender, error) {
	dir := filepath.Join(dataDir, Folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder for mail: %w", err)
	}
	if err := syncDir(dataDir); err != nil {
		return nil, fmt.Errorf("make the folder for mail: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".probe")
	if err != nil {
		return nil, fmt.Errorf("write into the folder for mail: %w", err)
	}
	_ = probe.Close() // it is empty
	if err := os.Remove(probe.Name()); err != nil {
		return nil, fmt.Errorf("write into the folder for mail: %w", err)
	}
	if err := sweep(dir, time.Now()); err != nil {
		return nil, fmt.Errorf("tidy the folder for mail: %w", err)
	}
	return &Sender{dir: dir}, nil
}

// A write takes a moment: a part that is older than leftover has no writer any more, in this process or another.
const leftover = 5 * time.Minute

// sweep removes the parts that atomic.WriteFile was killed over before it could rename them.
func sweep(dir string, now time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !isPart(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || now.Sub(info.ModTime()) < leftover {
			continue // gone meanwhile: another process may be sweeping too
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// isPart reports whether name is one that atomic.WriteFile gives to what it has not finished: the file's and a number.
func isPart(name string) bool {
	_, number, found := strings.Cut(name, ".eml")
	return found && number != "" && strings.Trim(number, "0123456789") == ""
}

// Simulated implements [mail.Sender].
func (*Sender) Simulated() bool { return true }

// Send writes m to its file and returns once it is on the disk. It implements [mail.Sender].
func (s *Sender) Send(ctx context.Context, m *mail.Message) (mail.Receipt, error) {
	if err := context.Cause(ctx); err != nil {
		return mail.Receipt{}, fmt.Errorf("write message %s: %w", m.ID, err)
	}
	b, err := m.Bytes()
	if err != nil {
		return mail.Receipt{}, err
	}
	name := m.Key + ".eml"
	if filepath.Base(name) != name {
		return mail.Receipt{}, fmt.Errorf("%w: key %q is no file name", mail.ErrRefused, m.Key)
	}
	if err := atomic.WriteFile(filepath.Join(s.dir, name), bytes.NewReader(b)); err != nil {
		return mail.Receipt{}, fmt.Errorf("write message %s: %w", m.ID, err)
	}
	if err := syncDir(s.dir); err != nil {
		return mail.Receipt{}, fmt.Errorf("write message %s: %w", m.ID, err)
	}
	return mail.Receipt{Driver: "file", File: Folder + "/" + name}, nil
}

// syncDir makes a new name in dir outlive a power failure; atomic.WriteFile only does so for what the file holds.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // which can't sync a folder, and writes names through
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }() // it was only read
	return d.Sync()
}
