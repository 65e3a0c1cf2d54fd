package noticefile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"handoff/services/notifier/internal/notice"
	"handoff/shared/spool"
)

// Folder is where the files are, below DATA_DIR.
const Folder = "notices"

// A Poster writes notices into a folder. It implements [notice.Poster].
type Poster struct{ files *spool.Spool }

// New makes the folder below dataDir and finds out whether it can be written.
func New(dataDir string) (*Poster, error) {
	files, err := spool.Open(dataDir, Folder, ".json")
	if err != nil {
		return nil, err
	}
	return &Poster{files: files}, nil
}

// Post writes n to its file and returns once it is on the disk. It implements [notice.Poster].
func (p *Poster) Post(ctx context.Context, n notice.Notice) (notice.Receipt, error) {
	if err := context.Cause(ctx); err != nil {
		return notice.Receipt{}, fmt.Errorf("write notice %s: %w", n.Key, err)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // it is read by people
	enc.SetIndent("", "  ")
	if err := enc.Encode(n); err != nil {
		return notice.Receipt{}, fmt.Errorf("encode notice %s: %w", n.Key, err)
	}
	path, err := p.files.Put(n.Key, &b)
	if errors.Is(err, spool.ErrName) {
		return notice.Receipt{}, fmt.Errorf("%w: %w", notice.ErrRefused, err)
	}
	if err != nil {
		return notice.Receipt{}, fmt.Errorf("write notice %s: %w", n.Key, err)
	}
	return notice.Receipt{Driver: "file", File: path}, nil
}
