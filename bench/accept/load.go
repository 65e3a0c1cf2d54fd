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
	all       int             // accepted, those of the warming up too
}

func (l load) rate() float64 { return float64(len(l.latencies)) / l.took.Seconds() }

// others is how many requests were not accepted.
func (l load) others() (n int) {
	for _, k := range l.refused {
		n += k
	}
	return n
}

// percentile is the latency that p of 100 requests do not exceed.
func (l load) percentile(p int) time.Duration {
	if len(l.latencies) == 0 {
		return 0
	}
	return l.latencies[(len(l.latencies)-1)*p/100]
}

// sending says how is sent.
type sending struct {
	name        string // of the users, so that no other sending has the same
	connections int
	warm, d     time.Duration // not counted; counted
	rate        float64       // requests a second; 0 for one after the other
}

// send registers users over so many connections and counts what is answered in the time after the warming up. With a rate, requests are
// due at fixed times whatever is answered, and a latency counts from when its request was due: what one that is slow holds up is seen.
func send(ctx context.Context, base string, o sending) load {
	connections, warm, d := o.connections, o.warm, o.d
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
			s := &sender{client: client, url: base + "/users/", name: fmt.Sprintf("%s%d", o.name, i), got: load{refused: map[string]int{}}}
			if o.rate > 0 {
				s.every = time.Duration(float64(connections) / o.rate * float64(time.Second))
				s.due = time.Now().Add(s.every * time.Duration(i) / time.Duration(connections)) // not all at once
			}
			s.run(ctx, from, until)
			parts[i] = s.got
		})
	}
	wait.Wait()
	sum := load{refused: map[string]int{}, took: min(d, max(time.Since(from), time.Nanosecond))}
	for _, p := range parts {
		sum.all += p.all
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
	every  time.Duration // between two requests; 0 for one after the other
	due    time.Time     // of the next one
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
		sent, ok := s.turn(ctx)
		if !ok {
			return
		}
		err := s.client.Do(req, res)
		end := time.Now()
		if err == nil && res.StatusCode() == fasthttp.StatusCreated {
			s.got.all++
		}
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

// turn waits for the next request's turn and gives the time from which it counts.
func (s *sender) turn(ctx context.Context) (time.Time, bool) {
	if s.every == 0 {
		return time.Now(), true
	}
	due := s.due
	s.due = due.Add(s.every)
	if wait := time.Until(due); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return due, false
		}
	}
	return due, true
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
