package trim

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/stream"
)

const (
	askTimeout = 2 * time.Second
	catchUp    = 250 * time.Millisecond // how long the projection is waited for
)

// view is what one look has found.
type view struct {
	Seen
	handles map[string]jetstream.Stream // by the stream's name
}

// look reads what [Plan] needs, but for the rows, which come last. The order matters: what a record in a bucket belongs to was in a
// stream before it, so buckets are asked before streams; what is in the streams is then waited for; and what has been read is in the
// rows that are taken after it.
func (t *Trimmer) look(ctx context.Context) (*view, error) {
	v := &view{
		Seen: Seen{
			Streams: map[string]*Stream{}, Buckets: map[string]*Bucket{}, Feeds: map[string][]string{},
			Expired: t.Now().Add(-t.limits.LogRetention),
		},
		handles: map[string]jetstream.Stream{},
	}
	left := t.left
	t.left = published{store: t.Store, before: left.now, now: map[uint64]bool{}}
	v.Published, v.Waits = t.left.has, t.left.waits
	for _, service := range stream.Services() {
		if err := t.lookAtBucket(ctx, v, service); err != nil {
			return nil, err
		}
	}
	for _, d := range stream.Durables() {
		if !slices.Contains(v.Feeds[d.Service], d.Stream) {
			v.Feeds[d.Service] = append(v.Feeds[d.Service], d.Stream)
		}
	}
	for _, name := range stream.WorkStreams() {
		if err := t.lookAtStream(ctx, v, name); err != nil {
			return nil, err
		}
	}
	t.awaitReaders(ctx, v)
	return v, nil
}

func (t *Trimmer) ask(ctx context.Context, v *view, name string) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, err := t.JetStream.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil // reconcile sees to that
	}
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", name, err)
	}
	v.handles[name] = s
	return s.CachedInfo(), nil
}

func (t *Trimmer) lookAtBucket(ctx context.Context, v *view, service string) error {
	name := stream.BucketStream(stream.Bucket(service))
	info, err := t.ask(ctx, v, name)
	if err != nil || info == nil {
		return err
	}
	created, read, _ := t.Reading.Read(name)
	if !created.Equal(info.Created) {
		return nil
	}
	v.Buckets[service] = &Bucket{
		First: max(info.State.FirstSeq, 1), Last: info.State.LastSeq, Records: info.State.Msgs, Bytes: info.State.Bytes,
		MaxBytes: limit(info), Created: info.Created, Since: info.State.FirstTime, Read: read,
	}
	return nil
}

func (t *Trimmer) lookAtStream(ctx context.Context, v *view, name string) error {
	position, err := t.Store.Position(name)
	if err != nil {
		return err
	}
	info, err := t.ask(ctx, v, name)
	if err != nil || info == nil {
		return err
	}
	s := &Stream{
		First: max(info.State.FirstSeq, 1), Last: info.State.LastSeq, Messages: info.State.Msgs, Bytes: info.State.Bytes,
		MaxBytes: limit(info), Position: position, Recorded: math.MaxUint64,
	}
	if t.Refused != nil {
		s.Refused = t.Refused(name)
	}
	if name == stream.Users {
		s.Recorded = t.Recorded()
	}
	f := t.firsts[name]
	if f == nil || !f.created.Equal(info.Created) {
		f = &firsts{created: info.Created}
		t.firsts[name] = f
	}
	s.Oldest = f.note(t.Now(), s.First, t.limits.Grace)
	v.Streams[name] = s
	return nil
}

func limit(info *jetstream.StreamInfo) uint64 {
	if info.Config.MaxBytes <= 0 {
		return math.MaxUint64
	}
	return uint64(info.Config.MaxBytes)
}

// awaitReaders gives the projection a moment to come to where the streams ended, and notes how far it is. A stream that it does not
// read is left out.
func (t *Trimmer) awaitReaders(ctx context.Context, v *view) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	enough := time.After(catchUp)
	for {
		behind := false
		for name, s := range v.Streams {
			created, read, _ := t.Reading.Read(name)
			if !created.Equal(v.handles[name].CachedInfo().Created) {
				delete(v.Streams, name)
				continue
			}
			s.Read = read
			behind = behind || !s.AtEnd()
		}
		if !behind {
			return
		}
		select {
		case <-tick.C:
		case <-enough:
			return
		case <-ctx.Done():
			return
		}
	}
}

// firsts are the first sequences that a stream had within the grace.
type firsts struct {
	created time.Time
	at      []time.Time
	seqs    []uint64
}

// note adds what was just seen, and gives the lowest one within the grace: a message below it has been gone for as long. It is 0 while
// the stream has not been watched for that long.
func (f *firsts) note(now time.Time, first uint64, grace time.Duration) uint64 {
	f.at, f.seqs = append(f.at, now), append(f.seqs, first)
	for len(f.at) > 1 && !f.at[1].After(now.Add(-grace)) {
		f.at, f.seqs = f.at[1:], f.seqs[1:]
	}
	if f.at[0].After(now.Add(-grace)) {
		return 0
	}
	lowest := first
	for _, s := range f.seqs {
		lowest = min(lowest, s)
	}
	return lowest
}

// published knows of entries that had left the store before the last look. What has left since may be in a stream beyond where this
// look found its end.
type published struct {
	store interface {
		EntryWaits(key uint64) (bool, error)
	}
	before, now map[uint64]bool
}

func (p *published) waits(entry uint64) bool {
	waits, err := p.store.EntryWaits(entry)
	return waits && err == nil
}

func (p *published) has(entry uint64) bool {
	if waits, err := p.store.EntryWaits(entry); err != nil || waits {
		return false
	}
	p.now[entry] = true
	return p.before[entry]
}
