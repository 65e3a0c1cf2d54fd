//go:build unix && !linux

package chaos_test

import (
	"errors"
	"testing"
)

func giveRoom(*testing.T, string) error {
	return errors.New("only Linux can give it a disk of its own here")
}

func diskFaults() []fault { return nil }
