package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"handoff/e2e/internal/house"
)

// The README's commands do what it says, on the ports that it says. A block in a ```sh fence is run as one script in an empty
// directory, next to the data of a cmd/handoff that was started there with nothing set. A block that can't be run so is marked
// ```sh notest, and has only commands that the other tests run, or that say themselves what they need. Blocks of docs/operations.md are
// run in the same way, after them.
func TestCommandsOfTheREADME(t *testing.T) {
	blocks := readBlocks(t, filepath.Join(root, "README.md"))
	if len(blocks) < 5 {
		t.Fatalf("only %d blocks of commands are found", len(blocks))
	}
	operations := readBlocks(t, filepath.Join(root, "docs", "operations.md"))
	need := []string{"bash", "curl"}
	for _, b := range blocks {
		if uses(b.script, "nats") && b.run {
			need = append(need, "nats", "script")
			break
		}
	}
	for _, program := range need {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, "the program "+program+" is not on this machine, and the README's commands use it")
		}
	}
	for _, addr := range []string{"127.0.0.1:8000", "127.0.0.1:4222"} {
		if !house.Free(addr) {
			missing(t, addr+" is taken, where the README has its handoff")
		}
	}

	dir := t.TempDir()
	handoff := home(t).Program(t, "handoff", dir)
	handoff.Start()
	s := house.At(t, "http://127.0.0.1:8000")
	house.Eventually(t, "a handoff that is ready", func() error {
		a, err := s.Try(t.Context(), http.MethodGet, "/readyz", "")
		if err == nil && a.Status != http.StatusOK {
			err = fmt.Errorf("it says %s", a.Body)
		}
		return err
	})
	dead := s.Picture("http://127.0.0.1:1/none.jpg", `["resize"]`) // so that there is a dead letter to look at
	s.AwaitState(dead, "dead")
	for _, b := range blocks {
		t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) {
			if !b.run {
				covered(t, b)
				return
			}
			runBlock(t, s.With(t), b, dir)
		})
	}
	if len(operations) != 2 {
		t.Fatalf("there are %d blocks of commands in operations.md, want those for what failed: over HTTP, and by the nats CLI", len(operations))
	}
	for i, b := range operations {
		t.Run(fmt.Sprintf("operations line %d", b.line), func(t *testing.T) {
			runBlock(t, s.With(t), b, dir)
			awaitDeath(t, fmt.Sprintf(".imager.%d.dead", i+1)) // in the next generation: nothing was mended
		})
	}
	if code := stop(handoff); code != 0 {
		t.Errorf("handoff ended with %d", code)
	}
}

// awaitDeath waits until the last dead letter is of a generation.
func awaitDeath(t *testing.T, id string) {
	t.Helper()
	_, js := connect(t, &house.Site{NATSURL: "nats://127.0.0.1:4222"})
	house.Eventually(t, "a letter "+id, func() error {
		m := awaitMessage(t, js, "DEAD", "dead.imager.image.requested")
		if got := m.Header.Get("Nats-Msg-Id"); !strings.HasSuffix(got, id) {
			return fmt.Errorf("the last one is %s", got)
		}
		return nil
	})
}

func stop(p *house.Program) int {
	p.Signal(os.Interrupt)
	return p.Exit(house.Patience)
}

// A block is what stands in one fence of commands.
type block struct {
	line   int
	script string
	run    bool
}

func readBlocks(t *testing.T, file string) []block {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	inside := false
	for i, line := range strings.Split(string(b), "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && inside:
			inside = false
		case fence:
			inside = true
			switch info {
			case "sh", "sh notest":
				blocks = append(blocks, block{line: i + 1, run: info == "sh"})
			default:
				t.Errorf("line %d: a fence of %q: commands are in sh, what is shown is indented", i+1, info)
				blocks = append(blocks, block{line: i + 1})
			}
		case inside:
			blocks[len(blocks)-1].script += line + "\n"
		}
	}
	return blocks
}

func uses(script, program string) bool {
	return regexp.MustCompile(`(^|[\n(|;&]\s*|time )` + program + ` `).MatchString(script)
}

// prelude has a script fail as a person would notice: at any command, at an answer of 400 or above. A subscription ends with its
// first message instead of never, and what asks for a terminal gets one.
const prelude = `set -euo pipefail
curl() {
	case " $* " in *" --fail "*) command curl "$@" ;; *) command curl --fail-with-body "$@" ;; esac
}
nats() {
	case "$1 $2" in
	"sub "*) command nats "$@" --count 1 ;;
	"stream view")
		if [ "$(uname)" = Linux ]; then script -qec "nats $*" /dev/null; else script -q /dev/null nats "$@"; fi ;;
	*) command nats "$@" ;;
	esac
}
`

func runBlock(t *testing.T, s *house.Client, b block, dir string) {
	ctx, cancel := context.WithTimeout(t.Context(), house.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", prelude+b.script)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TERM=dumb"}
	cmd.WaitDelay = time.Second
	var out house.Output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if strings.Contains(b.script, "nats sub ") {
		err := publish(t, s, ended)
		ended <- err
	}
	if err := <-ended; err != nil {
		t.Fatalf("%v\n%s\n%s", err, b.script, out.String())
	}
	if strings.TrimSpace(out.String()) == "" {
		t.Errorf("nothing was printed by\n%s", b.script)
	}
	if strings.Contains(b.script, "nats sub ") && !strings.Contains(out.String(), "Received on") {
		t.Errorf("no message was printed by\n%s\n%s", b.script, out.String())
	}
	t.Logf("%s\n%s", b.script, out.String())
}

// publish has events of every kind go by until the script has ended, and gives its outcome.
func publish(t *testing.T, s *house.Client, ended <-chan error) error {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for i := 0; ; i++ {
		select {
		case err := <-ended:
			return err
		case <-again.C:
			body := fmt.Sprintf(`{"email":"sub%d@example.org","username":"sub"}`, i)
			s.Post("/users/with-notifications/", body).Is(http.StatusCreated)
			s.Request("/async-task/", `{"duration_seconds":0}`)
			s.Picture("http://127.0.0.1:1/none.jpg", `["resize"]`)
		}
	}
}

// covered checks that a block that is not run has commands of known kinds only, and that what they name is there.
func covered(t *testing.T, b block) {
	for line := range strings.Lines(b.script) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
		words := strings.Fields(line)
		for len(words) > 0 && strings.Contains(words[0], "=") {
			words = words[1:] // a variable before the command
		}
		if len(words) == 0 {
			continue
		}
		switch words[0] + " " + strings.Join(words[1:min(2, len(words))], "") {
		case "go run":
			if _, err := os.Stat(filepath.Join(root, words[2])); err != nil {
				t.Errorf("line %d runs something that is not there: %v", b.line, err)
			}
		case "go test", "docker compose":
		default:
			t.Errorf("line %d: %q is not run by any test: take notest away, or teach this test about it", b.line, line)
		}
	}
}
