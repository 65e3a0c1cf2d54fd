package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
)

// whole is a server over a real store, with a real accept.
func whole(t *testing.T, path string) *client {
	t.Helper()
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	emails, keys := accept.NewEmails(), accept.NewKeys()
	last, err := store.LastKey()
	if err := errors.Join(err, store.EachEmail(emails.Load), store.EachKeyed(keys.Load)); err != nil {
		t.Fatal(err)
	}
	writer := commit.New(store, last, keys.Committed)
	in := accept.New(writer, free{}, emails, keys, time.Now)
	in.Open()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := writer.Run(ctx); err != nil {
			t.Errorf("committer: %v", err)
		}
	})
	w := newWorld(t)
	w.opts.Accepter, w.opts.Reader = in, store
	c := w.start(t)
	serve := c.stop
	c.stop = sync.OnceValue(func() error {
		err := serve()
		cancel()
		running.Wait()
		return errors.Join(err, store.Close())
	})
	t.Cleanup(func() { _ = c.stop() })
	return c
}

// free lets every accept in.
type free struct{}

func (free) Full(string) string { return "" }

func TestTheFirstAnswerIsGivenAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "api.db")
	c := whole(t, path)
	requests := []struct{ path, body string }{
		{"/users/", ada},
		{"/users/with-notifications/", strings.ReplaceAll(ada, "ada@", "grace@")},
		{"/process-image/", `{"image_url":"http://example.org/a.jpg","operations":["resize"]}`},
		{"/async-task/", ""},
	}
	header := func(i int) string { return fmt.Sprintf(`Idempotency-Key: "key-%d"`, i) }
	var first []*answer
	for i, r := range requests {
		first = append(first, c.post(r.path, r.body, header(i)))
	}
	again := func(c *client) {
		for i, r := range requests {
			a := c.post(r.path, r.body, header(i)).is(first[i].status).has("Location", first[i].header.Get("Location"))
			if !bytes.Equal(a.body, first[i].body) || a.header.Get("Location") == "" {
				t.Errorf("%s: the answer is %s, want %s", r.path, a.body, first[i].body)
			}
			other := requests[(i+1)%len(requests)]
			p := c.post(other.path, other.body, header(i)).problem(422)
			if len(p.Errors) != 1 || !strings.Contains(p.Errors[0].Message, "another request") {
				t.Errorf("another request under the key: %+v", p.Errors)
			}
		}
		c.post("/users/", ada).problem(409)
		c.post("/users/", ada, "Idempotency-Key: new").problem(409)
	}
	again(c)
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	again(whole(t, path))
}

// Clients that send the same request at the same time get one answer, or are told to come again.
func TestTheSameRequestInParallel(t *testing.T) {
	t.Parallel()
	c := whole(t, filepath.Join(t.TempDir(), "api.db"))
	var mu sync.Mutex
	bodies := map[string]int{}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 20 {
				a, err := c.try(http.MethodPost, "/users/", ada, "Idempotency-Key: k")
				switch {
				case err != nil:
					t.Error(err)
				case a.status == 409 && a.header.Get("Retry-After") == "1":
				case a.status == 201:
					mu.Lock()
					bodies[string(a.body)]++
					mu.Unlock()
				default:
					t.Errorf("answered with %d: %s", a.status, a.body)
				}
			}
		})
	}
	all.Wait()
	if len(bodies) != 1 {
		t.Errorf("the answers are %v, want one", bodies)
	}
}
