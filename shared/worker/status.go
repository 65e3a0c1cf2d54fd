package worker

import (
	"errors"
	"sync"
)

// status holds what each lane waits for.
type status struct {
	mu      sync.Mutex
	waiting map[string]error
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
	if len(s.waiting) == 0 {
		return errors.New("starting")
	}
	var all []error
	for _, err := range s.waiting {
		all = append(all, err)
	}
	return errors.Join(all...)
}
