package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"handoff/services/api/internal/commit"
)

func TestOnlyFailedWritesAreHarmless(t *testing.T) {
	t.Parallel()
	write := func(err error) error {
		return fmt.Errorf("x: %w", &fs.PathError{Op: "write", Path: "api.db", Err: err})
	}
	grow := func(err error) error {
		return fmt.Errorf("file resize error: %v", (&fs.PathError{Op: "truncate", Path: "api.db", Err: err}).Error()) // as bbolt does
	}
	for name, tt := range map[string]struct {
		err           error
		harmless, dry bool
	}{
		"no room":                  {write(syscall.ENOSPC), true, true},
		"no quota":                 {write(syscall.EDQUOT), true, true},
		"a limit of its size":      {write(syscall.EFBIG), true, true},
		"no room to grow":          {grow(syscall.ENOSPC), true, true},
		"a limit of its growth":    {grow(syscall.EFBIG), true, true},
		"a broken disk":            {write(syscall.EIO), true, false},
		"a broken disk to grow on": {grow(syscall.EIO), true, false},
		"an fsync":                 {syscall.EIO, false, false},
		"an fsync without room":    {syscall.ENOSPC, false, false},
		"the fsync of a growth":    {errors.New("file sync error: sync api.db: no space left on device"), false, false},
		"anything else":            {errors.New("bucket not found"), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := harmless(tt.err)
			if errors.Is(got, commit.ErrNotWritten) != tt.harmless || errors.Is(got, commit.ErrNoSpace) != tt.dry {
				t.Errorf("%v is %v", tt.err, got)
			}
		})
	}
	if err := harmless(nil); err != nil {
		t.Error(err)
	}
}
