package accept_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/commit"
	"handoff/shared/event"
)

// Whatever comes, in whatever order, with restarts and full disks between: an answer is what a plain map of keys would give.
func TestKeysAgainstAModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		path := fmt.Sprintf("%s/%d", dir, runs)
		width := rapid.SampledFrom([]uint64{1, 2, 1 << 62}).Draw(rt, "fingerprints")
		under := func(s commit.Sum) uint64 { return uint64(s[0]) % width } // some or all keys under one fingerprint
		r := rigAt(t, path, accept.NewEmails(), accept.NewKeysUnder(under))
		defer func() { r.stop() }()
		r.Open()
		type known struct {
			job, request string
			at           time.Duration
		}
		model := map[string]known{}
		var now time.Duration
		total := 0
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "key")
			switch rapid.SampledFrom([]string{"request", "request", "request", "no room", "prune", "wait", "restart"}).Draw(rt, "step") {
			case "request":
				body := rapid.SampledFrom([]string{"x", "x", "y"}).Draw(rt, "body")
				j, err := r.Request(t.Context(), key(name, body), event.TaskRequestedData{})
				m, ok := model[name]
				switch {
				case ok && m.request != body:
					if !errors.Is(err, accept.ErrKeyReused) {
						rt.Fatalf("%s with another request: %v", name, err)
					}
				case err != nil:
					rt.Fatalf("%s: %v", name, err)
				case ok && j.ID != m.job:
					rt.Fatalf("%s gives the job %s, want %s again", name, j.ID, m.job)
				case !ok:
					total++
					model[name] = known{job: j.ID, request: body, at: now}
				}
			case "no room":
				r.store.before = func() error { return commit.ErrNoSpace }
				_, err := r.Request(t.Context(), key(name, "x"), event.TaskRequestedData{})
				r.store.before = nil
				if m, ok := model[name]; !ok && !errors.Is(err, accept.ErrNoSpace) || ok && m.request == "x" && err != nil {
					rt.Fatalf("%s without room: %v; known before: %v", name, err, ok)
				}
			case "prune":
				if m, ok := model[name]; ok {
					r.prune(t, m.job)
					delete(model, name)
					total--
				}
			case "wait":
				now += time.Duration(rapid.IntRange(1, 30).Draw(rt, "hours")) * time.Hour
				r.clock.ahead.Store(int64(now))
				for k, m := range model {
					if now-m.at >= commit.KeyLife {
						delete(model, k)
					}
				}
			case "restart":
				r.stop()
				r = rigAt(t, path, accept.NewEmails(), accept.NewKeysUnder(under))
				r.clock.ahead.Store(int64(now))
				r.Open()
			}
		}
		if n := r.jobs(t); n != int64(total) {
			rt.Fatalf("there are %d jobs, want %d", n, total)
		}
	})
}
