package e2e_test

import (
	"context"
	"flag"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"handoff/e2e/internal/house"
)

// root is the checkout, seen from this package's directory.
const root = ".."

var update = flag.Bool("update", false, "write the golden files anew")

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
		programs.house, programs.err = house.Build(context.Background(), root, os.Getenv("E2E_RACE") == "1")
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.house
}

// neverCached keeps go test from showing an outcome again when nothing but the services has changed; the file says how.
func neverCached(t *testing.T) {
	t.Helper()
	const file = "testdata/never-cached"
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Logf("the outcome may be shown again although a service has changed, use -count=1: %v", err)
	}
	if _, err := os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
}

// slow leaves a test out of a run with -short.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes long; run without -short")
	}
}

// missing skips a test because the machine lacks something, and fails it where nothing may be lacking.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s, and with CI=true everything must be tested", what)
	}
	t.Skip("NOT TESTED: " + what)
}

// number is a setting of a run, such as E2E_ROUNDS.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text, ok := os.LookupEnv(variable)
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s is %q, want a whole number", variable, text)
	}
	return n
}
