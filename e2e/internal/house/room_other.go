//go:build !linux

package house

import (
	"errors"
	"testing"
)

// GiveRoom can't be had here.
func GiveRoom(testing.TB, string, int64) error {
	return errors.New("only Linux can give a test a disk of its own")
}

// FillDisk is never asked for without [GiveRoom].
func FillDisk(t testing.TB, _ string) (free func()) {
	t.Fatal("there is no disk to fill")
	return nil
}
