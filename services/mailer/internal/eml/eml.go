package eml

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"handoff/services/mailer/internal/mail"
	"handoff/shared/spool"
)

// Folder is where the files are, below DATA_DIR.
const Folder = "mail"

// A Sender writes messages into a folder. It implements [mail.Sender].
type Sender struct{ files *spool.Spool }

// New makes the folder below dataDir and finds out whether it can be written.
func New(dataDir string) (*Sender, error) {
	files, err := spool.Open(dataDir, Folder, ".eml")
	if err != nil {
		return nil, err
	}
	return &Sender{files: files}, nil
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
	path, err := s.files.Put(m.Key, bytes.NewReader(b))
	if errors.Is(err, spool.ErrName) {
		return mail.Receipt{}, fmt.Errorf("%w: %w", mail.ErrRefused, err)
	}
	if err != nil {
		return mail.Receipt{}, fmt.Errorf("write message %s: %w", m.ID, err)
	}
	return mail.Receipt{Driver: "file", File: path}, nil
}
