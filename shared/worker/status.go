package worker

import (
	"errors"
	"sync"
	"time"
)

var (
	errStarting = errors.New("starting")
	errStopping = errors.New("stopping")
)

// patience is how long a lane waits before that is worth a line in the log: at a start it looks for what is still being made.
const patience = time.Second

// status holds what each lane waits for.
type status struct {
	mu       sync.Mutex
	lanes    map[string]*waiting
	stopping bool
}

// waiting is what one lane waits for.
type waiting struct {
	err   error // nil for nothing
	since time.Time
	said  string // what the log says that it waits for; empty once it takes work
	begun bool   // the log says that it takes work
}

func (s *status) stop() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
}

// set notes that a lane waits for something (nil: for nothing) at a time and reports whether the log should say so.
func (s *status) set(lane string, err error, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lanes == nil {
		s.lanes = map[string]*waiting{}
	}
	w := s.lanes[lane]
	if w == nil {
		w = &waiting{since: now}
		s.lanes[lane] = w
	}
	if w.err == nil && err != nil {
		w.since = now
	}
	w.err = err
	switch {
	case err == nil:
		news := !w.begun || w.said != ""
		w.begun, w.said = true, ""
		return news
	case now.Sub(w.since) < patience, w.said == err.Error():
		return false
	}
	w.said = err.Error()
	return true
}

func (s *status) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopping:
		return errStopping
	case len(s.lanes) == 0:
		return errStarting
	}
	var all []error
	for _, w := range s.lanes {
		all = append(all, w.err)
	}
	return errors.Join(all...)
}
