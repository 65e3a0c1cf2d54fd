package web_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/redrive"
	"handoff/services/api/internal/user"
	"handoff/services/api/internal/web"
	"handoff/shared/event"
)

// created has a fraction and a zone, so that both show when an answer loses them.
func created() time.Time {
	return time.Date(2026, 3, 1, 13, 0, 0, 123456000, time.FixedZone("CET", 3600))
}

// accepts keeps what it is given in memory.
type accepts struct {
	mu       sync.Mutex
	err      error // returned instead of accepting
	doom     any   // what to panic with
	keys     []accept.Key
	emails   []string
	names    []string
	notified []bool
	payloads []event.Payload
	retried  []string
	timing   []event.Envelope // due and notafter of each
}

func (a *accepts) Register(_ context.Context, key accept.Key, email, username string, notify bool, _ ...accept.Option) (user.User, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.doom != nil {
		panic(a.doom)
	}
	if a.err != nil {
		return user.User{}, a.err
	}
	a.keys = append(a.keys, key)
	a.emails, a.names, a.notified = append(a.emails, email), append(a.names, username), append(a.notified, notify)
	id := fmt.Sprintf("user-%d", len(a.emails))
	return user.User{ID: id, Email: email, Username: username, Created: created(), JobID: "job-of-" + id}, nil
}

func (a *accepts) Request(_ context.Context, key accept.Key, p event.Payload, options ...accept.Option) (*job.Job, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return nil, a.err
	}
	a.keys = append(a.keys, key)
	a.payloads = append(a.payloads, p)
	var env event.Envelope
	for _, o := range options {
		o(&env)
	}
	a.timing = append(a.timing, env)
	return &job.Job{
		ID: fmt.Sprintf("job-%d", len(a.payloads)), Type: p.EventType(), Created: created(), Due: env.Due, NotAfter: env.NotAfter,
		Tasks: []job.Task{{Service: "any", State: event.Succeeded}}, // as one that came again may have
	}, nil
}

func (a *accepts) Cancel(_ context.Context, id string) (*job.Job, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return nil, a.err
	}
	return &job.Job{ID: id, Tasks: []job.Task{{Service: "any", State: event.Cancelled}}}, nil
}

func (a *accepts) Retry(_ context.Context, key accept.Key, jobID string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	a.keys, a.retried = append(a.keys, key), append(a.retried, jobID)
	return nil
}

// redrives notes what it is asked for, and does some.
type redrives struct {
	err           error
	counts        redrive.Counts
	which         job.Dead
	limit         int
	done, counted int
}

func (r *redrives) Redrive(_ context.Context, which *job.Dead, limit int) (redrive.Counts, error) {
	r.which, r.limit = *which, limit
	r.done++
	return r.counts, r.err
}

func (r *redrives) Count(_ context.Context, which *job.Dead, limit int) (redrive.Counts, error) {
	r.which, r.limit = *which, limit
	r.counted++
	return r.counts, r.err
}

// known is a store of a few users and jobs, each list in the order in which it is read.
type known struct {
	mu    sync.Mutex
	err   error
	users []user.User
	jobs  []*job.Job
	query job.Query // the last one
	ids   []string  // asked for, kept as a store would keep them
}

func (k *known) User(id string) (user.User, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ids = append(k.ids, id)
	for _, u := range k.users {
		if u.ID == id {
			return u, k.err
		}
	}
	return user.User{}, user.ErrNotFound
}

func (k *known) Users(after string, limit int) ([]user.User, error) {
	from := 0
	for i, u := range k.users {
		if u.ID == after {
			from = i + 1
		}
	}
	if after != "" && from == 0 {
		return nil, user.ErrNotFound
	}
	return k.users[from:min(from+limit, len(k.users))], k.err
}

func (k *known) Job(id string) (*job.Job, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, j := range k.jobs {
		if j.ID == id {
			return j, k.err
		}
	}
	return nil, job.ErrNotFound
}

func (k *known) Jobs(q job.Query) ([]*job.Job, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.query = q
	from := 0
	for i, j := range k.jobs {
		if j.ID == q.After {
			from = i + 1
		}
	}
	if q.After != "" && from == 0 {
		return nil, job.ErrNotFound
	}
	return k.jobs[from:min(from+q.Limit, len(k.jobs))], k.err
}

func (k *known) Event(j *job.Job) ([]byte, error) {
	e, err := event.New(j.ID, created(), event.TaskRequestedData{DurationMS: 7}, "tasker")
	if err != nil {
		return nil, err
	}
	return e.Encode()
}

// waits lets a job end when ended is closed.
type waits struct {
	known *known
	ended chan struct{}
	begun chan struct{} // gets one for each wait, if there is room
	final *job.Job
}

func (w *waits) Wait(ctx context.Context, id string) (*job.Job, error) {
	select {
	case w.begun <- struct{}{}:
	default:
	}
	select {
	case <-w.ended:
		return w.final, nil
	case <-ctx.Done():
		return w.known.Job(id)
	}
}

// album holds one picture for every job.
type album struct {
	mu     sync.Mutex
	data   []byte
	typ    string
	err    error
	pause  time.Duration // before each piece of 64 kB
	opened int
	closed int
}

func (a *album) Open(context.Context, string) (web.Picture, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return web.Picture{}, a.err
	}
	a.opened++
	return web.Picture{
		Body: &leaf{album: a, r: bytes.NewReader(a.data)}, Size: int64(len(a.data)), ContentType: a.typ, Digest: "SHA-256=abc",
	}, nil
}

func (a *album) open() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.opened - a.closed
}

type leaf struct {
	album *album
	r     io.Reader
}

func (l *leaf) Read(p []byte) (int, error) {
	time.Sleep(l.album.pause)
	return l.r.Read(p[:min(len(p), 64<<10)])
}

func (l *leaf) Close() error {
	l.album.mu.Lock()
	defer l.album.mu.Unlock()
	l.album.closed++
	return nil
}

// journal is a log that a test can read.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// A world is everything around a server.
type world struct {
	accepts *accepts
	known   *known
	waits   *waits
	staff   *staff
	dead    *redrives
	album   *album
	log     *journal
	opts    web.Options
}

// staff is two services that can be paused.
type staff struct {
	mu     sync.Mutex
	err    error
	paused map[string]time.Duration // of those that are paused
}

func (s *staff) List(ctx context.Context) ([]web.Service, error) {
	var all []web.Service
	for _, name := range []string{"mailer", "imager"} {
		one, err := s.Show(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (s *staff) Show(_ context.Context, name string) (web.Service, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != "mailer" && name != "imager" {
		return web.Service{}, web.ErrNoService
	}
	length, paused := s.paused[name]
	one := web.Service{Name: name, Tasks: []web.ServiceTask{{Name: "work", Type: event.UserCreated}}, Paused: paused, Waiting: 3, InHand: 1}
	if length > 0 {
		until := created().Add(length)
		one.PausedUntil = &until
	}
	return one, s.err
}

func (s *staff) Pause(ctx context.Context, name string, length time.Duration) error {
	if _, err := s.Show(ctx, name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused[name] = length
	return nil
}

func (s *staff) Resume(ctx context.Context, name string) error {
	if _, err := s.Show(ctx, name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.paused, name)
	return nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	k := &known{}
	w := &world{
		accepts: &accepts{}, known: k, log: &journal{}, dead: &redrives{},
		waits: &waits{known: k, ended: make(chan struct{}), begun: make(chan struct{}, 16)},
		staff: &staff{paused: map[string]time.Duration{}},
		album: &album{data: []byte("a picture, believe me"), typ: "image/webp"},
	}
	w.opts = web.Options{
		Accepter: w.accepts, Canceller: w.accepts, Reader: k, Waiter: w.waits, Pictures: w.album, Redriver: w.dead, Services: w.staff, Version: "test",
		Log: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return w
}
