// Package services shows how the workers' consumers stand, and holds up what one service takes, with JetStream's consumer pause
// (ADR-42 of NATS). The pause is kept by the server: it outlives every process of Handoff.
package services

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/web"
	"handoff/shared/stream"
)

const (
	// patience bounds the wait for NATS.
	patience = 3 * time.Second
	// retryAfter is how long NATS may be given to come back.
	retryAfter = 2 * time.Second
	// forGood is how long a pause without an end lasts: JetStream asks for one.
	forGood = 100 * 365 * 24 * time.Hour
)

// Services implements [web.Services].
type Services struct {
	js  jetstream.JetStream
	now func() time.Time
}

// New makes it.
func New(js jetstream.JetStream, now func() time.Time) *Services { return &Services{js: js, now: now} }

// List implements [web.Services].
func (s *Services) List(ctx context.Context) ([]web.Service, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all []web.Service
	for _, name := range stream.Services() {
		one, err := s.show(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// Show implements [web.Services].
func (s *Services) Show(ctx context.Context, name string) (web.Service, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.show(ctx, name)
}

func (s *Services) show(ctx context.Context, name string) (web.Service, error) {
	one := web.Service{Name: name}
	for _, t := range stream.AllTasks() {
		if t.Service == name {
			one.Tasks = append(one.Tasks, web.ServiceTask{Name: t.Name, Type: t.Type})
		}
	}
	err := s.each(name, func(d stream.Durable) error {
		c, err := s.js.Consumer(ctx, d.Stream, d.Name)
		if err != nil {
			return fmt.Errorf("look at consumer %s on %s: %w", d.Name, d.Stream, err)
		}
		info := c.CachedInfo()
		one.Waiting += info.NumPending
		one.InHand += info.NumAckPending
		if info.Paused {
			one.Paused = true
			if info.PauseRemaining < forGood/2 {
				until := s.now().Add(info.PauseRemaining).UTC().Round(time.Second)
				one.PausedUntil = &until
			}
		}
		return nil
	})
	return one, err
}

// Pause implements [web.Services].
func (s *Services) Pause(ctx context.Context, name string, length time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if length == 0 {
		length = forGood
	}
	until := s.now().Add(length)
	return s.each(name, func(d stream.Durable) error {
		if _, err := s.js.PauseConsumer(ctx, d.Stream, d.Name, until); err != nil {
			return fmt.Errorf("pause consumer %s on %s: %w", d.Name, d.Stream, err)
		}
		return nil
	})
}

// Resume implements [web.Services].
func (s *Services) Resume(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.each(name, func(d stream.Durable) error {
		if _, err := s.js.ResumeConsumer(ctx, d.Stream, d.Name); err != nil {
			return fmt.Errorf("resume consumer %s on %s: %w", d.Name, d.Stream, err)
		}
		return nil
	})
}

// each calls f with the consumers of a service, all of them. An error is one that passes, unless there is no such service.
func (s *Services) each(name string, f func(stream.Durable) error) error {
	var errs []error
	known := false
	for _, d := range stream.Durables() {
		if d.Service == name {
			known = true
			errs = append(errs, f(d))
		}
	}
	if !known {
		return web.ErrNoService
	}
	if err := errors.Join(errs...); err != nil {
		why := &accept.UnavailableError{Reason: "NATS is away, or does not have the service's consumer yet", RetryAfter: retryAfter}
		return errors.Join(why, err)
	}
	return nil
}
