package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A rule says what some packages never import, themselves or through others. Patterns are as go's: "x/..." is x and all below.
type rule struct {
	packages []string
	never    []string
	why      string
}

// Names in the table below.
const (
	anything = "..."
	fiber    = "github.com/gofiber/..."
	huma     = "github.com/danielgtaylor/..."
	fasthttp = "github.com/valyala/fasthttp/..."
	bbolt    = "go.etcd.io/bbolt/..."
	natsGo   = "github.com/nats-io/nats.go/..."
	server   = "github.com/nats-io/nats-server/..."
	goMail   = "github.com/wneessen/..."
	stdHTTP  = "net/http"
)

func rules() []rule {
	api := func(names ...string) []string { return below("handoff/services/api/internal/", names) }
	mailer := func(names ...string) []string { return below("handoff/services/mailer/internal/", names) }
	notifier := func(names ...string) []string { return below("handoff/services/notifier/internal/", names) }
	imager := func(names ...string) []string { return below("handoff/services/imager/internal/", names) }
	web := []string{fiber, huma, fasthttp}
	all := []rule{
		{[]string{"handoff/shared/..."}, join(web, []string{
			bbolt, goMail, "net/smtp", "image/...", "golang.org/x/image/...", "github.com/gen2brain/...",
		}), "shared has no business of its own: no web framework, store, mail or pictures"},
		{[]string{"handoff/shared/..."}, []string{"handoff/services/...", "handoff/cmd/..."}, "what is shared knows nobody who shares it"},
		{[]string{"handoff/e2e/...", "handoff/bench/..."}, []string{"handoff/services/..."}, "they see what anybody sees"},

		{api("job", "user", "commit", "accept", "watch", "sample"), join(web, []string{bbolt, natsGo, stdHTTP},
			api("bolt", "web", "objectstore", "health", "relay", "projection", "reconcile")),
			"the api's core has no adapter: it says what it needs, and is given it"},
		{api("relay", "projection", "reconcile", "lease"), join(web, []string{bbolt}, api("bolt", "web", "objectstore", "health")),
			"what speaks with NATS has no store and no web of its own"},
		{api("bolt"), join(web, []string{natsGo}, api("web", "objectstore", "relay", "projection", "reconcile", "accept")), "the store is an adapter for the disk only"},
		{api("web"), join([]string{bbolt, natsGo}, api("bolt", "objectstore", "relay", "projection", "reconcile")), "the web is an adapter for HTTP only"},

		{mailer("mail"), join([]string{natsGo, stdHTTP, "net/smtp"}, mailer("eml", "smtp")), "what a mail is does not depend on where it goes"},
		{notifier("notice"), join([]string{natsGo, stdHTTP}, notifier("discord", "noticefile")), "what a notice is does not depend on where it goes"},
		{imager("picture"), join([]string{natsGo, stdHTTP}, imager("fetch", "objectstore", "task")), "pictures come and go as bytes"},
		{imager("task"), join([]string{natsGo, stdHTTP}, imager("fetch", "objectstore")), "the task is given whoever fetches and stores"},
	}
	services := []string{"api", "mailer", "notifier", "imager", "tasker"}
	for _, s := range services {
		own := []string{"handoff/services/" + s + "/..."}
		if s != "api" {
			all = append(all, rule{own, join(web, []string{bbolt}), "only the api has a web and a store"})
		}
		for _, other := range services {
			if other != s {
				all = append(all, rule{own, []string{"handoff/services/" + other + "/..."}, "no service imports another"})
			}
		}
		all = append(all, rule{own, []string{server, "handoff/cmd/...", "handoff/e2e/...", "handoff/bench/...", "handoff/shared/natstest", "handoff/shared/worker/workertest"}, "a service is a client of NATS, and holds no tests"})
	}
	return all
}

func below(dir string, names []string) []string {
	var all []string
	for _, n := range names {
		all = append(all, dir+n)
	}
	return all
}

func join(lists ...[]string) []string { return slices.Concat(lists...) }

// The layers stay apart.
func TestDependenciesPointInwards(t *testing.T) {
	t.Parallel()
	g := readImports(t)
	for _, r := range rules() {
		for _, pattern := range r.packages {
			from := g.match(pattern)
			if len(from) == 0 {
				t.Errorf("there is no package %s any more: a rule about it says nothing", pattern)
			}
			for _, pkg := range from {
				for _, never := range r.never {
					if way := g.way(pkg, never); way != nil {
						t.Errorf("%s (%s)", strings.Join(way, " → "), r.why)
					}
				}
			}
		}
	}
}

// Whoever wants to read events, in whatever program, needs nothing but this package.
func TestEventImportsOnlyTheStandardLibrary(t *testing.T) {
	t.Parallel()
	g := readImports(t)
	const event = "handoff/shared/event"
	if len(g.match(event)) == 0 {
		t.Fatalf("there is no package %s", event)
	}
	for pkg := range g.imports {
		if !g.standard[pkg] && pkg != event {
			if way := g.way(event, pkg); way != nil {
				t.Error(strings.Join(way, " → "))
			}
		}
	}
}

// The rules would be worth nothing if a way could not be found.
func TestWaysAreFound(t *testing.T) {
	t.Parallel()
	g := readImports(t)
	for from, to := range map[string]string{
		"handoff/services/api/internal/bolt": bbolt, "handoff/services/api": natsGo, "handoff/cmd/handoff": fiber,
		"handoff/services/mailer/internal/mail": "handoff/shared/event", "handoff/e2e": natsGo,
	} {
		if g.way(from, to) == nil {
			t.Errorf("%s is not seen to import %s", from, to)
		}
	}
	// What a shared package needs is its own affair: the core names streams, which does not make it a client of NATS.
	if way := g.way("handoff/services/api/internal/job", natsGo); way != nil {
		t.Errorf("a way through shared: %v", way)
	}
}

// imports are those of every package of every module, and of what they depend on. For e2e the tests' own are among them.
type imports struct {
	imports  map[string][]string
	standard map[string]bool
}

func readImports(t *testing.T) imports {
	t.Helper()
	neverCached(t)
	g := imports{map[string][]string{}, map[string]bool{}}
	for _, module := range modules(t) {
		dec := json.NewDecoder(bytes.NewReader(goTool(t, module, "list", "-deps", "-json=ImportPath,Imports,TestImports,XTestImports,Standard", "./...")))
		for {
			var p struct {
				ImportPath, Dir                    string
				Imports, TestImports, XTestImports []string
				Standard                           bool
			}
			err := dec.Decode(&p)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if matches("handoff/e2e/...", p.ImportPath) {
				p.Imports = join(p.Imports, p.TestImports, p.XTestImports)
			}
			g.imports[p.ImportPath] = p.Imports
			g.standard[p.ImportPath] = p.Standard
		}
	}
	return g
}

// modules lists the directories of the workspace's modules.
func modules(t *testing.T) []string {
	t.Helper()
	var work struct{ Use []struct{ DiskPath string } }
	if err := json.Unmarshal(goTool(t, root, "work", "edit", "-json", "go.work"), &work); err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, use := range work.Use {
		dirs = append(dirs, filepath.Join(root, use.DiskPath))
	}
	return dirs
}

func goTool(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s in %s: %v\n%s", strings.Join(args, " "), dir, err, stderr.Bytes())
	}
	return out
}

func (g imports) match(pattern string) []string {
	var all []string
	for pkg := range g.imports {
		if matches(pattern, pkg) {
			all = append(all, pkg)
		}
	}
	slices.Sort(all)
	return all
}

func matches(pattern, pkg string) bool {
	dir, deep := strings.CutSuffix(pattern, "/"+anything)
	return pkg == dir || deep && strings.HasPrefix(pkg, dir+"/")
}

// way gives the shortest way from a package to one that matches, and nil when there is none. It ends at the packages of shared, for
// which there are rules of their own, unless it began there.
func (g imports) way(from, to string) []string {
	inShared := matches("handoff/shared/...", from)
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at != from && matches(to, at) {
			var way []string
			for ; at != ""; at = before[at] {
				way = append(way, at)
			}
			slices.Reverse(way)
			return way
		}
		if !inShared && matches("handoff/shared/...", at) {
			continue
		}
		for _, next := range g.imports[at] {
			if _, seen := before[next]; !seen {
				before[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}
