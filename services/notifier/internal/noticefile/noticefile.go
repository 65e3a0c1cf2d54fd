package noticefile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/natefinch/atomic"

	"handoff/services/notifier/internal/notice"
)

// Folder is where the files are, below DATA_DIR.
const Folder = "notices"

// A Poster writes notices into a folder. It implements [notice.Poster].
type Poster struct{ dir string }

// New makes the folder below dataDir.
func New(dataDir string) (*Poster, error) {
	dir := filepath.Join(dataDir, Folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder for notices: %w", err)
	}
	if err := syncDir(dataDir); err != nil {
		return nil, fmt.Errorf("make the folder for notices: %w", err)
	}
	return &Poster{dir: dir}, nil
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
	name := n.Key + ".json"
	if filepath.Base(name) != name {
		return notice.Receipt{}, fmt.Errorf("%w: key %q is no file name", notice.ErrRefused, n.Key)
	}
	if err := atomic.WriteFile(filepath.Join(p.dir, name), &b); err != nil {
		return notice.Receipt{}, fmt.Errorf("write notice %s: %w", n.Key, err)
	}
	if err := syncDir(p.dir); err != nil {
		return notice.Receipt{}, fmt.Errorf("write notice %s: %w", n.Key, err)
	}
	return notice.Receipt{Driver: "file", File: Folder + "/" + name}, nil
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
