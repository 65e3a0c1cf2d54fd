package worker

import (
	"errors"
	"sync"
)

var (
	errStarting = errors.New("starting")
	errStopping = errors.New("stopping")
)

// status holds what each lane waits for.
type status struct {
	mu       sync.Mutex
	waiting  map[string]error
	stopping bool
}

func (s *status) stop() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
}

// set notes that a lane waits for something (nil: for nothing) and reports whether that is news.
func (s *status) set(lane string, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = map[string]error{}
	}
	old, known := s.waiting[lane]
	s.waiting[lane] = err
	return !known || (old == nil) != (err == nil) || (err != nil && old.Error() != err.Error())
}

func (s *status) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopping:
		return errStopping
	case len(s.waiting) == 0:
		return errStarting
	}
	var all []error
	for _, err := range s.waiting {
		all = append(all, err)
	}
	return errors.Join(all...)
}
