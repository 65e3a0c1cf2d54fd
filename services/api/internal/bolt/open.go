package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// initialMmap is address space, not memory: growing the map has to wait for readers.
const initialMmap = 4 << 30

// minSize is that of a file in which nothing has been put: four pages.
const minSize = 4 * 4096

// Errors of [Open], for each of which the file is as it was.
var (
	ErrLocked = errors.New("another process has it open")
	ErrNewer  = errors.New("it was written by a newer version of Handoff")
	ErrBroken = errors.New("it is not a whole api.db")
)

// Open opens the file at path, and makes it if there is none. An empty file is one whose making was cut short. One that an older
// version wrote is brought up to date, after which the older version can't open it any more.
func Open(path string) (*Store, error) { return openAs(path, layouts()) }

func openAs(path string, all []layout) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("open the store: %w", err)
	case info.Size() > 0 && info.Size() < minSize:
		return nil, fmt.Errorf("open %s: %w: it has been cut off", path, ErrBroken)
	case info.Size() > 0:
		if err := inspect(path, all); err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
	}
	s, err := openToWrite(path, all)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

func openToWrite(path string, all []layout) (*Store, error) {
	db, err := open(path, &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType, InitialMmapSize: initialMmap})
	if err != nil {
		return nil, err
	}
	if err := layOut(db, path, all); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := countStart(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{db: db}, nil
}

// open has bbolt open a file. bbolt panics over pages that are no pages, and reading a map beyond the end of its file is a fault;
// both mean that the file is not whole.
func open(path string, o *bolt.Options) (db *bolt.DB, err error) {
	var file *os.File
	o.Timeout = time.Second
	o.OpenFile = func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
		file, err = os.OpenFile(name, flag, mode)
		return file, err
	}
	err = whole(func() error {
		db, err = bolt.Open(path, 0o600, o)
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, ErrLocked
	case errors.Is(err, ErrBroken):
		_ = file.Close() // gives back the lock
		return nil, err
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return db, err
}

// whole makes a panic of f [ErrBroken].
func whole(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrBroken, p)
		}
	}()
	return f()
}

// inspect reads through a file that is there, without a change to it.
func inspect(path string, all []layout) error {
	db, err := open(path, &bolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	err = whole(func() error { return db.View(func(tx *bolt.Tx) error { return inspectLayout(path, tx, all) }) })
	return errors.Join(err, db.Close())
}

func inspectLayout(path string, tx *bolt.Tx, all []layout) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w: it has been cut off", ErrBroken)
	}
	first, _ := tx.Cursor().First()
	if first == nil {
		return nil // its making was cut short
	}
	meta := bucket(tx, bucketMeta)
	if meta == nil {
		return fmt.Errorf("%w: it is another program's", ErrBroken)
	}
	n := number(meta.Get([]byte(metaFormat)))
	switch {
	case n == 0:
		return fmt.Errorf("%w: it does not say which layout it has", ErrBroken)
	case n > uint64(len(all)):
		return fmt.Errorf("%w (layout %d, this one knows %d)", ErrNewer, n, len(all))
	}
	if err := complete(tx, all, int(n)); err != nil {
		return err
	}
	return tx.ForEach(func(_ []byte, b *bolt.Bucket) error { return visit(b) })
}

// visit comes to every page of a bucket.
func visit(b *bolt.Bucket) error {
	return b.ForEach(func(k, v []byte) error {
		if v != nil {
			return nil
		}
		return visit(b.Bucket(k))
	})
}

// layOut lays out a new file, and brings one that is older up to date. A new file's log keys begin at the time of its making in µs,
// so that they lie above those of a file that was lost.
func layOut(db *bolt.DB, path string, all []layout) error {
	var has int
	err := db.View(func(tx *bolt.Tx) error {
		if meta := bucket(tx, bucketMeta); meta != nil {
			has = int(number(meta.Get([]byte(metaFormat)))) //nolint:gosec // it has been looked at
		}
		return nil
	})
	if has == len(all) || err != nil {
		return err
	}
	if err := syncNames(path); err != nil { // the name must be as safe as what will be in the file
		return err
	}
	return db.Update(func(tx *bolt.Tx) error {
		if err := upgrade(tx, all, has); err != nil || has > 0 {
			return err
		}
		return bucket(tx, bucketMeta).Put([]byte(metaLastKey), key(uint64(time.Now().UnixMicro())))
	})
}

// syncNames makes a new file's name safe from a power loss, and where it can its directory's.
func syncNames(path string) error {
	dir := filepath.Dir(path)
	_ = syncDir(filepath.Dir(dir)) // it may not be ours to read
	return syncDir(dir)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
