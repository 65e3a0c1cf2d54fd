package web_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

func TestDocsPagesWorkInABrowser(t *testing.T) {
	t.Parallel()
	browser := browserPath(t)
	for name, tt := range map[string]struct {
		path string
		do   []chromedp.Action[chromedp.Void] // each waits until it can be done
	}{
		"Swagger UI": {"/docs", []chromedp.Action[chromedp.Void]{
			chromedp.Click(chromedp.CSS("#operations-users-create-user .opblock-summary-control")),
			chromedp.Click(chromedp.CSS("#operations-users-create-user button.execute")),
			chromedp.WaitVisible(chromedp.Search(`//table[contains(@class,"live-responses-table")]//td[contains(.,"201")]`)),
		}},
		"ReDoc": {"/redoc", []chromedp.Action[chromedp.Void]{
			chromedp.WaitVisible(chromedp.Search(`//h2[contains(.,"Register a user and tell the team")]`)),
			chromedp.SendKeys(chromedp.CSS(`input[aria-label="Search"]`), "picture"), // the search is the one part that needs a worker
			chromedp.WaitVisible(chromedp.CSS(`[data-role="search:results"] label`)),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := full(t).start(t)
			ctx := openBrowser(t, browser)
			seen := watch(ctx, t, c.base)
			if err := chromedp.Do(ctx, append([]chromedp.Action[chromedp.Void]{chromedp.Navigate(c.base + tt.path)}, tt.do...)...); err != nil {
				t.Errorf("%s: %v", tt.path, err)
			}
			seen.mu.Lock()
			defer seen.mu.Unlock()
			if seen.requests == 0 {
				t.Error("no request was seen: this test is blind")
			}
			for _, complaint := range seen.complaints {
				t.Error(complaint)
			}
		})
	}
}

// browserPath finds a browser. On a machine of a person it may be missing, on one that checks changes it must not.
func browserPath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const reason = "/docs and /redoc WERE NOT TRIED: neither chromium nor google-chrome is in PATH"
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
	return ""
}

// openBrowser gives the context of a tab of a browser that finds no host but this one.
func openBrowser(t *testing.T, path string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.NoSandbox, chromedp.WindowSize(1280, 1600),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// sightings are what a tab did that it should not have done.
type sightings struct {
	mu         sync.Mutex
	requests   int
	complaints []string
}

func (s *sightings) complain(format string, args ...any) {
	s.complaints = append(s.complaints, fmt.Sprintf(format, args...))
}

// watch starts the tab and notes requests to elsewhere, scripts that fail and whatever the browser complains of, refusals
// by the page's policy among it.
func watch(ctx context.Context, t *testing.T, base string) *sightings {
	t.Helper()
	s := &sightings{}
	err := chromedp.Listen(ctx, func(ev any) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSent:
			s.requests++
			if url := ev.Request.URL; !strings.HasPrefix(url, base+"/") && !strings.HasPrefix(url, "data:") && !strings.HasPrefix(url, "blob:") {
				s.complain("asked for %s", url)
			}
		case *log.EventEntryAdded:
			if ev.Entry.Level == log.EntryLevelError || ev.Entry.Source == log.EntrySourceSecurity {
				s.complain("the browser says: %s (%s)", ev.Entry.Text, ev.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			s.complain("a script failed: %s", ev.ExceptionDetails.Text)
		}
	})
	if err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	return s
}
