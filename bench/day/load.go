package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// pushPatience is how long a stopped service may take to be noticed, and one that is back to be.
const pushPatience = 5 * time.Minute

// A load is one kind of request, sent at a steady rate.
type load struct {
	url       string
	status    int // of an accept
	body      func(i int) string
	onRefused func()
	expected  int // refusals that had to be

	mu      sync.Mutex
	sent    int
	took    int
	refused map[string]int
}

// send sends so many a second until ctx ends, and waits for the answers. The rate bends rather than that requests pile up.
func (l *load) send(ctx context.Context, rate int) {
	var wait sync.WaitGroup
	defer wait.Wait()
	free := make(chan struct{}, 64)
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case <-ctx.Done():
			return
		case free <- struct{}{}:
		}
		wait.Go(func() {
			l.one()
			<-free
		})
	}
}

// one sends a request and notes its answer. It ends whatever becomes of the load, so that no accept goes uncounted.
func (l *load) one() {
	l.mu.Lock()
	i := l.sent
	l.sent++
	l.mu.Unlock()
	why := l.ask(i)
	l.mu.Lock()
	defer l.mu.Unlock()
	if why == "" {
		l.took++
		return
	}
	if l.refused == nil {
		l.refused = map[string]int{}
	}
	l.refused[why]++
	if l.onRefused != nil {
		l.onRefused()
	}
}

func (l *load) ask(i int) (why string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader([]byte(l.body(i))))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode != l.status {
		return fmt.Sprint(res.StatusCode)
	}
	return ""
}

func (l *load) accepted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.took
}

func (l *load) others() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.refused {
		n += k
	}
	return n
}

// said is what was answered instead of an accept.
func (l *load) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, why := range slices.Sorted(maps.Keys(l.refused)) {
		all = append(all, fmt.Sprintf("%d times %s", l.refused[why], why))
	}
	return strings.Join(all, ", ")
}
