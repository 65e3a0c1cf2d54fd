package web_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"handoff/services/api/internal/job"
	"handoff/services/api/internal/web"
	"handoff/shared/event"
)

func TestDrainEndsWaitsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.known.jobs = []*job.Job{imageJob(event.Running, "")}
	c := run(t, web.Quick(w.opts, 0, 0, 0, time.Minute))
	var wg sync.WaitGroup
	wg.Go(func() {
		a, err := c.try(http.MethodGet, "/jobs/j1?wait=60s", "")
		if err != nil || a.status != 200 || !strings.Contains(string(a.body), `"state":"running"`) {
			t.Errorf("wait: %+v, %v", a, err)
		}
	})
	taken := make(chan struct{})
	wg.Go(func() {
		a, err := c.expecting(taken).try(http.MethodPost, "/sync-task/", "{}", "Expect: 100-continue")
		if err != nil || a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("sync-task: %+v, %v", a, err)
		}
	})
	<-w.waits.begun
	<-taken
	if err := c.stop(); err != nil { // both take far longer than the grace, if they are let
		t.Error(err)
	}
	wg.Wait()
}

// expecting is the client with a connection of its own for one request, and closes taken when the server asks for its body.
func (c *client) expecting(taken chan struct{}) *client {
	d := *c
	d.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}}
	d.trace = &httptrace.ClientTrace{Got100Continue: func() { close(taken) }}
	return &d
}

func TestDrainedServerIsNotReadyButAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := web.New(w.opts)
	c := run(t, s)
	if a := c.get("/livez").is(200); a.last {
		t.Error("the connection is not kept")
	}
	s.Drain()
	if got := string(c.get("/readyz").is(503).body); got != "not ready: the server is stopping\n" {
		t.Errorf("body is %q", got)
	}
	c.post("/sync-task/", "").problem(503)
	c.post("/users/", ada).is(201)
	if a := c.get("/livez").is(200); !a.last {
		t.Error("draining, but the connection is kept for another request")
	}
}

func TestServeEndsWhenItsContextHasEndedBeforeIt(t *testing.T) {
	t.Parallel()
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := web.New(newWorld(t).opts).Serve(ctx, ln); err != nil {
			t.Error(err)
		}
	}
}

func TestServeSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := web.New(newWorld(t).opts)
	served := make(chan error)
	go func() { served <- s.Serve(t.Context(), ln) }()
	_ = ln.Close()
	select {
	case err := <-served:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(5 * time.Second):
		t.Error("Serve goes on without a listener")
	}
}

func TestARequestThatOutlivesTheGraceIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.known.jobs = []*job.Job{imageJob(event.Succeeded, "")}
	w.album.pause = time.Second
	w.opts.Grace = 50 * time.Millisecond
	s := web.New(w.opts)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ln.Addr().String()+"/jobs/j1/result", nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	})
	eventually(t, "the picture is open", func() bool { return w.album.open() == 1 })
	cancel()
	if err := <-served; err == nil {
		t.Error("Serve returned nil although a request was cut off")
	}
	wg.Wait()
}

// huma leaves a deadline for reading on the connection of a request that had a body.
func TestAConnectionThatHasPostedLivesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := run(t, web.Quick(w.opts, 100*time.Millisecond, 5*time.Second, 0, 300*time.Millisecond))
	transport, ok := c.http.Transport.(*http.Transport)
	if !ok {
		t.Fatal("not our transport")
	}
	dials := 0
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials++
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	c.post("/users/", ada).is(201)
	c.post("/sync-task/", "").is(200) // longer than the read timeout
	<-time.After(200 * time.Millisecond)
	c.get("/users/").is(200)
	if dials != 1 {
		t.Errorf("%d connections for three requests", dials)
	}
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	c := run(t, web.Quick(newWorld(t).opts, 50*time.Millisecond, 50*time.Millisecond, 0, 0))
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(c.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 512)
	for {
		if _, err := conn.Read(b); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("still open")
			}
			return
		}
	}
}
