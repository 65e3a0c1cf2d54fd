package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// requestPatience is far above any answer's time.
const requestPatience = 10 * time.Second

// load is what came of sending.
type load struct {
	took      time.Duration
	latencies []time.Duration // of what was accepted, sorted
	refused   map[string]int  // how often what else came
}

func (l load) rate() float64 { return float64(len(l.latencies)) / l.took.Seconds() }

// percentile is the latency that p of 100 requests do not exceed.
func (l load) percentile(p int) time.Duration {
	if len(l.latencies) == 0 {
		return 0
	}
	return l.latencies[(len(l.latencies)-1)*p/100]
}

// send registers users over so many connections, one request after the other on each, and counts what is answered in the d after the
// warming up.
func send(ctx context.Context, base string, connections int, warm, d time.Duration) load {
	u, err := url.Parse(base)
	if err != nil {
		return load{refused: map[string]int{err.Error(): 1}, took: d}
	}
	client := &fasthttp.HostClient{
		Addr: u.Host, MaxConns: connections, ReadTimeout: requestPatience, WriteTimeout: requestPatience,
		MaxIdemponentCallAttempts: 1, NoDefaultUserAgentHeader: true, DisablePathNormalizing: true,
	}
	defer client.CloseIdleConnections()
	from := time.Now().Add(warm)
	until := from.Add(d)
	parts := make([]load, connections)
	var wait sync.WaitGroup
	for i := range parts {
		wait.Go(func() {
			s := &sender{client: client, url: base + "/users/", name: fmt.Sprintf("u%d", i), got: load{refused: map[string]int{}}}
			s.run(ctx, from, until)
			parts[i] = s.got
		})
	}
	wait.Wait()
	sum := load{refused: map[string]int{}, took: min(d, max(time.Since(from), time.Nanosecond))}
	for _, p := range parts {
		sum.latencies = append(sum.latencies, p.latencies...)
		for why, n := range p.refused {
			sum.refused[why] += n
		}
	}
	slices.Sort(sum.latencies)
	return sum
}

// causes are what was refused, the most frequent first.
func (l load) causes() []string {
	return slices.SortedFunc(maps.Keys(l.refused), func(a, b string) int { return l.refused[b] - l.refused[a] })
}

// sender is one connection's.
type sender struct {
	client *fasthttp.HostClient
	url    string
	name   string
	got    load
}

func (s *sender) run(ctx context.Context, from, until time.Time) {
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetContentType("application/json")
	req.SetRequestURI(s.url)
	var body []byte
	for i := 0; ctx.Err() == nil; i++ {
		body = fmt.Appendf(body[:0], `{"email":"%s-%d@bench.example.com","username":"testuser"}`, s.name, i)
		req.SetBodyRaw(body)
		sent := time.Now()
		err := s.client.Do(req, res)
		end := time.Now()
		if end.After(until) {
			return
		}
		if end.After(from) {
			s.count(res, err, end.Sub(sent))
		}
		if err != nil && !pause(ctx) {
			return
		}
	}
}

func (s *sender) count(res *fasthttp.Response, err error, latency time.Duration) {
	switch {
	case err != nil:
		s.got.refused[err.Error()]++
	case res.StatusCode() != fasthttp.StatusCreated:
		s.got.refused[fmt.Sprintf("%d %.200s", res.StatusCode(), res.Body())]++
	default:
		s.got.latencies = append(s.got.latencies, latency)
	}
}

// pause keeps what can't be reached from being asked all the time.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(10 * time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}
