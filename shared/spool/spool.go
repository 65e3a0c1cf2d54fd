package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/natefinch/atomic"
)

// ErrName is returned for a key that can't be the name of a file.
var ErrName = errors.New("no file name")

// A write takes a moment: a part that is older than leftover has no writer any more, in this process or another.
const leftover = 5 * time.Minute

// A Spool is a folder of files with one extension. Make it with [Open]; several processes may have the same folder open.
type Spool struct{ dir, folder, ext string }

// Open makes the folder below dataDir and finds out whether it can be written. It removes what a killed process has left of a
// write. ext is the files' extension, with its dot.
func Open(dataDir, folder, ext string) (*Spool, error) {
	s := &Spool{dir: filepath.Join(dataDir, folder), folder: folder, ext: ext}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder %s: %w", folder, err)
	}
	if err := syncDir(dataDir); err != nil {
		return nil, fmt.Errorf("make the folder %s: %w", folder, err)
	}
	if err := probe(s.dir); err != nil {
		return nil, fmt.Errorf("write into the folder %s: %w", folder, err)
	}
	if err := s.sweep(time.Now()); err != nil {
		return nil, fmt.Errorf("tidy the folder %s: %w", folder, err)
	}
	return s, nil
}

func probe(dir string) error {
	f, err := os.CreateTemp(dir, ".probe")
	if err != nil {
		return err
	}
	_ = f.Close() // it is empty
	return os.Remove(f.Name())
}

// sweep removes the parts that atomic.WriteFile was killed over before it could rename them.
func (s *Spool) sweep(now time.Time) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !s.isPart(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || now.Sub(info.ModTime()) < leftover {
			continue // gone meanwhile: another process may be sweeping too
		}
		if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// isPart reports whether name is one that atomic.WriteFile gives to what it has not finished: the file's and a number.
func (s *Spool) isPart(name string) bool {
	_, number, found := strings.Cut(name, s.ext)
	return found && number != "" && strings.Trim(number, "0123456789") == ""
}

// Put writes the file of a key, in place of one that is there, and returns its path below the data directory once it is on
// the disk. The error wraps [ErrName] for a key that is no file name.
func (s *Spool) Put(key string, content io.Reader) (path string, err error) {
	name := key + s.ext
	if filepath.Base(name) != name {
		return "", fmt.Errorf("key %q: %w", key, ErrName)
	}
	if err := atomic.WriteFile(filepath.Join(s.dir, name), content); err != nil {
		return "", err
	}
	if err := syncDir(s.dir); err != nil {
		return "", err
	}
	return s.folder + "/" + name, nil
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
