package workertest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(natstest.Leftover)) }

// mailbox is a far side: it keeps every message under the id that it came with, and replaces what has the same one.
type mailbox struct {
	mu       sync.Mutex
	messages map[string]string // key by id
}

func (b *mailbox) put(id, key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.messages == nil {
		b.messages = map[string]string{}
	}
	b.messages[id] = key
}

func (b *mailbox) of(_ *Rig, key string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, k := range b.messages {
		if k == key {
			n++
		}
	}
	return n
}

type (
	data = event.TaskRequestedData
	do   = worker.HandlerFunc[data, struct{}]
)

const (
	timeout = 300 * time.Millisecond
	hanging = int64(time.Hour / time.Millisecond)
)

func suite(effects func(*Rig, string) int, h do) Suite {
	spec := worker.Spec{Task: "demo", Timeout: timeout, TimeoutGrace: timeout, Backoff: worker.Backoff{Base: time.Hour, Max: time.Hour}}
	return Suite{
		Service: "tasker", Run: Handler("tasker", spec, h), Effects: effects, Timeout: timeout,
		Payload: func(int) event.Payload { return data{DurationMS: 1} },
		Hangs:   data{DurationMS: hanging},
	}
}

// work takes as long as it is told.
func work(ctx context.Context, e event.Event[data]) error {
	select {
	case <-time.After(e.Data.Duration()):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func TestAnEffectThatIsNamedAfterTheKeyPasses(t *testing.T) {
	t.Parallel()
	var b mailbox
	suite(b.of, func(ctx context.Context, e event.Event[data]) (struct{}, error) {
		b.put(e.Key(), e.Key())
		return struct{}{}, work(ctx, e)
	}).Check(t)
}

// Each mistake of a handler is found by the checks that are for it. That they find no other shows the first one.
func TestMistakesAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler func(*mailbox) do
		found   map[string]string // what checks say
		rest    bool              // whether the other checks are run, too: they pass
	}{
		"a message of its own for each run": {
			func(b *mailbox) do {
				var runs counter
				return func(ctx context.Context, e event.Event[data]) (struct{}, error) {
					b.put(strconv.Itoa(runs.next()), e.Key())
					return struct{}{}, work(ctx, e)
				}
			},
			map[string]string{"a redrive": "is there 2 times", "a crash between the effect and its record": "name it after the event's Key"},
			true,
		},
		"a message of its own for each attempt": {
			func(b *mailbox) do {
				return func(ctx context.Context, e event.Event[data]) (struct{}, error) {
					b.put(e.Key()+strconv.Itoa(e.Attempt), e.Key())
					return struct{}{}, work(ctx, e)
				}
			},
			map[string]string{"a crash between the effect and its record": "name it after the event's Key"},
			false,
		},
		"no effect": {
			func(*mailbox) do {
				return func(ctx context.Context, e event.Event[data]) (struct{}, error) { return struct{}{}, work(ctx, e) }
			},
			map[string]string{"events that come once": "0 times"},
			false,
		},
		"deaf": {
			func(b *mailbox) do {
				return func(_ context.Context, e event.Event[data]) (struct{}, error) {
					b.put(e.Key(), e.Key())
					time.Sleep(min(e.Data.Duration(), 3*time.Second))
					return struct{}{}, nil
				}
			},
			map[string]string{"a stop while it hangs": "ignores the end", "a time-out": "ignores the end"},
			false,
		},
		"refuses": {
			func(*mailbox) do {
				return func(context.Context, event.Event[data]) (struct{}, error) {
					return struct{}{}, worker.Permanent(errors.New("out of stamps"))
				}
			},
			map[string]string{
				"events that come once": "out of stamps", "events that come twice": "out of stamps", "a redrive": "out of stamps",
				"a stop while it hangs": "does not work until", "a time-out": "out of stamps",
			},
			false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, check := range checks() {
				want := c.found[check.name]
				if want == "" && !c.rest {
					continue
				}
				t.Run(check.name, func(t *testing.T) {
					t.Parallel()
					var b mailbox
					s := suite(b.of, c.handler(&b))
					err := check.do(s, newRig(t, s.Service, s.Run))
					switch {
					case want == "" && err != nil:
						t.Errorf("found %v, where nothing is", err)
					case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
						t.Errorf("found %v, want %q", err, want)
					}
				})
			}
		})
	}
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

func TestWhatASuiteHasNoFieldsForIsLeftOut(t *testing.T) {
	t.Parallel()
	s := Suite{Service: "tasker"}
	for _, do := range []func(Suite, *Rig) error{Suite.hangs, Suite.timesOut} {
		if err := do(s, nil); !errors.Is(err, errLeftOut) {
			t.Error(err)
		}
	}
}

// An end that is written in two halves kills as one that is written at once.
func TestAnEndKillsOnce(t *testing.T) {
	t.Parallel()
	const end = "HPUB $KV.JOBS_tasker.job-1 _INBOX.x.y 58 99\r\nNATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 1\r\n\r\n" + `{"state":"succeeded","claim":1}`
	for _, other := range []string{
		"HPUB $KV.JOBS_tasker.job-1 _INBOX.x.y 58 99\r\nNATS/1.0\r\n\r\n" + `{"state":"running"}`,
		"HPUB $KV.JOBS_mailer.job-1 _INBOX.x.y 58 99\r\nNATS/1.0\r\n\r\n" + `{"state":"succeeded"}`,
		"PUB $JS.ACK.TASKS.tasker.1 4\r\n+ACK\r\n",
	} {
		if newCrasher("tasker").kills([]byte(other)) {
			t.Errorf("killed by %q", other)
		}
	}
	c := newCrasher("tasker")
	if !c.kills([]byte("PING\r\n"+end)) || c.kills([]byte(end)) || c.killed() != 1 {
		t.Error("an end does not kill once")
	}
	if !c.kills([]byte(end + strings.ReplaceAll(end, "job-1", "job-2"))) {
		t.Error("a second job's end does not kill")
	}
}
