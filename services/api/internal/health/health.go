// Package health puts together the report at /health, from what each part of the api says of itself.
package health

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/web"
	"handoff/shared/stream"
)

// patience bounds what the report may wait for NATS: people look at it when something is slow.
const patience = time.Second

// Sources are whom the report asks. All but Records and Services are required.
type Sources struct {
	NATS      *nats.Conn
	JetStream jetstream.JetStream
	Store     interface {
		Size() (bolt.Size, error)
		Err() error
	}
	Relay interface {
		Waiting(stream string) (count, bytes int64)
		Full(stream string) string
		HeldUpBy(stream string) string
	}
	Projection interface{ Pending() uint64 }
	Records    interface {
		HeldUpBy() string
		UsersFull() string
		Err() error
	}
	Streams  interface{ Err() error }
	Services interface {
		List(ctx context.Context) ([]web.Service, error)
	}
	Ready func() error // why no requests are taken, or nil
}

// Report tells how the api is.
func (s Sources) Report(ctx context.Context) web.Health {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h := web.Health{Status: web.Healthy}
	complain := func(format string, args ...any) {
		h.Status = web.Degraded
		h.Reasons = append(h.Reasons, fmt.Sprintf(format, args...))
	}

	h.NATS.Connected = s.NATS.IsConnected()
	if h.NATS.Connected {
		h.NATS.URL = withoutCredentials(s.NATS.ConnectedUrl())
		if rtt, err := s.NATS.RTT(); err == nil {
			h.NATS.RTT = rtt.Round(time.Microsecond).String()
		}
		if err := s.Streams.Err(); err != nil {
			complain("Streams are not as they should be: %v", err)
		}
		h.Streams = s.streams(ctx, complain)
		s.services(ctx, complain)
	} else {
		complain("No connection to NATS: what is accepted waits until there is one")
	}

	size, err := s.Store.Size()
	if err != nil {
		complain("The store can't be read: %v", err)
	}
	if err := s.Store.Err(); err != nil {
		complain("The last write to the store has failed: %v", err)
	}
	h.Store = web.StoreHealth{Bytes: size.Bytes, Users: size.Users, Jobs: size.Jobs}
	for _, name := range stream.WorkStreams() {
		n, _ := s.Relay.Waiting(name)
		h.Store.Unrelayed += n
		if why := s.Relay.Full(name); why != "" {
			complain("No more is accepted for %s: %s", name, why)
		}
	}
	if s.Records != nil {
		s.records(complain)
	}
	if n := s.Projection.Pending(); n > behind {
		complain("Jobs are shown as they were: %d messages are still to be read", n)
	}
	if err := s.Ready(); err != nil {
		complain("No requests are taken: %v", err)
		h.Status = web.Starting
	}
	return h
}

func (s Sources) services(ctx context.Context, complain func(string, ...any)) {
	if s.Services == nil {
		return
	}
	all, err := s.Services.List(ctx)
	if err != nil {
		complain("NATS does not say how the services' consumers are: %v", err)
	}
	for _, one := range all {
		switch {
		case one.PausedUntil != nil:
			complain("The %s is paused until %s", one.Name, one.PausedUntil.Format(time.RFC3339))
		case one.Paused:
			complain("The %s is paused until somebody resumes it", one.Name)
		}
	}
}

func (s Sources) records(complain func(string, ...any)) {
	if why := s.Records.UsersFull(); why != "" {
		complain("No more users are accepted: %s", why)
	}
	if why := s.Records.HeldUpBy(); why != "" {
		complain("%s is held up: %s", stream.Records, why)
	}
	if err := s.Records.Err(); err != nil {
		complain("%s lacks users: %v", stream.Records, err)
	}
}

// behind is from how many unread messages on people should know.
const behind = 10_000

func (s Sources) streams(ctx context.Context, complain func(string, ...any)) []web.StreamHealth {
	var all []web.StreamHealth
	list := s.JetStream.ListStreams(ctx)
	for info := range list.Info() {
		sh := web.StreamHealth{
			Name: info.Config.Name, Messages: info.State.Msgs, Bytes: info.State.Bytes, MaxBytes: info.Config.MaxBytes,
			HeldUpBy: s.Relay.HeldUpBy(info.Config.Name),
		}
		all = append(all, sh)
		if sh.HeldUpBy != "" {
			complain("%s is held up: %s", sh.Name, sh.HeldUpBy)
		}
		// A stream that discards what is old is full all the time. RECORDS is never trimmed: there it takes a person, in time.
		if sh.Name == stream.Records && sh.MaxBytes > 0 && sh.Bytes > uint64(sh.MaxBytes)/10*8 {
			complain("%s is over 80 %% of its limit: raise NATS_MAX_STORE before it is full and no more users can register", sh.Name)
		} else if info.Config.Discard == jetstream.DiscardNew && sh.MaxBytes > 0 && sh.Bytes > uint64(sh.MaxBytes)/10*9 {
			complain("%s is over 90 %% of its limit", sh.Name)
		}
	}
	if err := list.Err(); err != nil {
		complain("NATS does not say how full its streams are: %v", err)
	}
	return all
}

func withoutCredentials(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}
