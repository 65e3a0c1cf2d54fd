package main

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, err string }{
		{"", ""},
		{"-users 10 -unrelayed 0 -settle 1s -dir .", ""},
		{"-users 0", "-users"},
		{"-unrelayed -1", "-unrelayed"},
		{"-settle -1s", "-settle"},
		{"now", "unexpected argument"},
		{"-x", "not defined"},
	} {
		_, err := parse(strings.Fields(tt.args), io.Discard)
		if (err == nil) != (tt.err == "") || (err != nil && !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("parse(%s): %v, want %q", tt.args, err, tt.err)
		}
	}
}

func TestStartMeasures(t *testing.T) {
	t.Parallel()
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("it builds and runs the api, and reads its memory from /proc")
	}
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"-users", "500", "-unrelayed", "100", "-settle", "0s", "-dir", t.TempDir()}, &out, &errOut); code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut.String())
	}
	for _, want := range []string{"the first start", "with 500 ended jobs, as many users and 100 unrelayed accepts", "resident anonymous memory: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		code int
	}{{"-h", 0}, {"-users none", 2}, {"-dir /nowhere/at/all", 1}} {
		if code := run(t.Context(), strings.Fields(tt.args), io.Discard, io.Discard); code != tt.code {
			t.Errorf("%s: exit code %d, want %d", tt.args, code, tt.code)
		}
	}
}
