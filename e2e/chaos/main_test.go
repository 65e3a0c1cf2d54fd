//go:build unix

package chaos_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"handoff/e2e/internal/house"
)

// root is the checkout, seen from this package's directory.
const root = "../.."

// programs are built once, for the first test that needs them.
var programs builder

type builder struct {
	once  sync.Once
	house *house.House
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs.house != nil {
		programs.house.Close()
	}
	os.Exit(code)
}

// home gives a test the built programs.
func home(t *testing.T) *house.House {
	t.Helper()
	neverCached(t)
	programs.once.Do(func() {
		names := append(house.Services(), house.NATSServer)
		programs.house, programs.err = house.Build(context.Background(), root, os.Getenv("E2E_RACE") == "1", names...)
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.house
}

// neverCached keeps go test from showing an outcome again when nothing but the services has changed; the file says how.
func neverCached(t *testing.T) {
	t.Helper()
	const file = root + "/e2e/testdata/never-cached"
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Logf("the outcome may be shown again although a service has changed, use -count=1: %v", err)
	}
	if _, err := os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
}
