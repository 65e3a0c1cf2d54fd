package embedded

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Fill adds to the api.db in a DATA_DIR, which it makes if there is none: users whose job has ended, and jobs of which NATS has not been
// told. No child may have it open. tmp is where what does it is built.
func Fill(ctx context.Context, data, tmp string, ended, unrelayed int) (err error) {
	dir, err := os.MkdirTemp(tmp, "handoff-fill-")
	if err != nil {
		return fmt.Errorf("make a directory to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary, err := build(ctx, fill, dir)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, binary, "-path", filepath.Join(data, "api.db"), //nolint:gosec // our own build
		"-ended", strconv.Itoa(ended), "-unrelayed", strconv.Itoa(unrelayed))
	detach(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fill the store: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
