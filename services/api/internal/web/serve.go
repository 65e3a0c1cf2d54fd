package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Serve answers requests on ln until ctx is done, then drains: it is no longer ready, waits end at once, ln is closed, and
// requests under way have [Options.Grace] to finish. It returns nil when all of them did. A Server serves once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.app.Listener(ln) }()
	select {
	case err := <-served:
		s.Drain()
		return fmt.Errorf("serve HTTP on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}

	s.Drain()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Grace)
	defer cancel()
	err := s.app.ShutdownWithContext(grace)
	// The app closes the listeners that it serves; if ctx was done before it began to, that is none.
	if cerr := ln.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	if serr := <-served; serr != nil && !errors.Is(serr, net.ErrClosed) {
		err = errors.Join(err, serr)
	}
	if err != nil {
		return fmt.Errorf("drain HTTP on %s: %w", ln.Addr(), err)
	}
	return nil
}

// Drain makes the server not ready and ends what waits: a GET with a wait answers with the state as it is, and
// POST /sync-task/ with 503. Everything else is still answered, but each answer is the last one on its connection: a client
// that sends the next request where one has just been closed cannot know whether it was taken. Serve calls it by itself;
// calling it earlier gives a load balancer time to notice.
func (s *Server) Drain() { s.drain() }

func (s *Server) isDraining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// untilDrain gives a context that ends with the drain too. The function that it returns ends it and must be called.
func (s *Server) untilDrain(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-s.draining:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(); wg.Wait() }
}

// ready says why no requests should be sent here.
func (s *Server) ready() error {
	if s.isDraining() {
		return errors.New("the server is stopping")
	}
	return s.opts.Ready()
}
