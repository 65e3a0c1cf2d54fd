package eml

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/natefinch/atomic"

	"handoff/services/mailer/internal/mail"
)

// Folder is where the files are, below DATA_DIR.
const Folder = "mail"

// A Sender writes messages into a folder. It implements [mail.Sender].
type Sender struct{ dir string }

// New makes the folder below dataDir.
func New(dataDir string) (*Sender, error) {
	dir := filepath.Join(dataDir, Folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder for mail: %w", err)
	}
	if err := syncDir(dataDir); err != nil {
		return nil, fmt.Errorf("make the folder for mail: %w", err)
	}
	return &Sender{dir: dir}, nil
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
