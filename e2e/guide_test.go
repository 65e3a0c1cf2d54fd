package e2e_test

import (
	"context"
	"go/format"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"handoff/e2e/internal/house"
)

// ownGo is how many lines of Go a new kind of work may take beside its wiring.
const ownGo = 30

// A step of the guide is a file to write, a patch or a script.
type step struct {
	line int
	kind string // go, diff or sh
	file string // of a file to write
	text string
}

// The guide is followed to the letter in a copy of the checkout; then the new service does a job that was asked for over HTTP, and one
// that was published by hand.
func TestTheGuideToAServiceOfYourOwn(t *testing.T) {
	t.Parallel()
	slow(t)
	for _, program := range []string{"git", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, "the program "+program+" is not on this machine, and following the guide needs it")
		}
	}
	neverCached(t)
	dir := t.TempDir()
	copyCheckout(t, dir)
	for _, s := range guide(t) {
		follow(t, dir, s)
	}
	built, err := house.Build(t.Context(), dir, false, "handoff")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(built.Close)
	s := built.Together(t).Start()
	id := s.Request("/reports/", `{"text":"all is well"}`).JobID
	j := s.AwaitState(id, "succeeded")
	if len(j.Tasks) != 1 || j.Tasks[0].Service != "reporter" || string(j.Tasks[0].Result) != `{"words":3}` {
		t.Errorf("the job is %+v", j)
	}
	s.Post("/reports/", `{"text":""}`).Is(http.StatusUnprocessableEntity)
}

func TestTheGuideNeedsLittleGo(t *testing.T) {
	t.Parallel()
	lines := 0
	for _, s := range guide(t) {
		if s.file != "services/reporter/report.go" && s.file != "shared/event/report.go" {
			continue
		}
		for line := range strings.Lines(s.text) {
			line = strings.TrimSpace(line)
			if line != "" && !strings.HasPrefix(line, "//") {
				lines++
			}
		}
	}
	if lines == 0 || lines > ownGo {
		t.Errorf("the payload and the handler are %d lines, want at most %d", lines, ownGo)
	}
}

// guide reads the steps.
func guide(t *testing.T) []step {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "docs", "add-a-service.md"))
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	inside := false
	for i, line := range strings.Split(string(b), "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && inside:
			inside = false
		case fence:
			inside = true
			kind, file, _ := strings.Cut(info, " ")
			if !slices.Contains([]string{"go", "diff", "sh"}, kind) || (kind == "go") != (file != "") {
				t.Fatalf("line %d: a fence of %q: want sh, diff, or go with the file's name", i+1, info)
			}
			steps = append(steps, step{line: i + 1, kind: kind, file: file})
		case inside:
			steps[len(steps)-1].text += line + "\n"
		}
	}
	if len(steps) < 10 {
		t.Fatalf("only %d steps are found", len(steps))
	}
	return steps
}

// follow takes a step in the checkout at dir.
func follow(t *testing.T, dir string, s step) {
	t.Helper()
	if s.kind == "go" {
		if b, err := format.Source([]byte(s.text)); err != nil || string(b) != s.text {
			t.Errorf("the file in line %d is not as gofmt has it (%v)", s.line, err)
		}
		name := filepath.Join(dir, filepath.FromSlash(s.file))
		if err := os.WriteFile(name, []byte(s.text), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail")
	if s.kind == "diff" {
		cmd = exec.CommandContext(ctx, "git", "apply", "--recount")
	}
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(s.text)
	// The copy lies in no repository, whoever else's folder holds it.
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the step in line %d: %v\n%s", s.line, err, out)
	}
}

// copyCheckout copies what there is of source.
func copyCheckout(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rest)
		switch {
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "data"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
