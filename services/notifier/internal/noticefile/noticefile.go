package noticefile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/natefinch/atomic"

	"handoff/services/notifier/internal/notice"
)

// Folder is where the files are, below DATA_DIR.
const Folder = "notices"

// A Poster writes notices into a folder. It implements [notice.Poster].
type Poster struct{ dir string }

// New makes the folder below dataDir and finds out whether it can be written. It removes what a killed process has left of a write.
func New(dataDir string) (*Poster, error) {
	dir := filepath.Join(dataDir, Folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder for notices: %w", err)
	}
	if err := syncDir(dataDir); err != nil {
		return nil, fmt.Errorf("make the folder for notices: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".probe")
	if err != nil {
		return nil, fmt.Errorf("write into the folder for notices: %w", err)
	}
	_ = probe.Close() // it is empty
	if err := os.Remove(probe.Name()); err != nil {
		return nil, fmt.Errorf("write into the folder for notices: %w", err)
	}
	if err := sweep(dir, time.Now()); err != nil {
		return nil, fmt.Errorf("tidy the folder for notices: %w", err)
	}
	return &Poster{dir: dir}, nil
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
	_, number, found := strings.Cut(name, ".json")
	return found && number != "" && strings.Trim(number, "0123456789") == ""
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
