package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"

	"handoff/e2e/internal/house"
)

// root is the checkout, seen from this package's directory.
const root = ".."

// home has the built programs, for all tests.
var home *house.House

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	var err error
	if home, err = house.Build(context.Background(), root, os.Getenv("E2E_RACE") == "1"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer home.Close()
	return m.Run()
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
