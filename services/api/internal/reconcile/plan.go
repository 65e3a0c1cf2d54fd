package reconcile

import (
	"slices"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/stream"
)

// A Found is a stream or a bucket's stream as it is, beside what was known of it when that was asked.
type Found struct {
	Stream  string
	Mark    commit.Mark
	Created time.Time
	Last    uint64
	Proven  bool   // it had ended at Left, below what was known
	Left    uint64 //
	Open    bool   // a bucket's: it has its open key
}

// left says what there still is of what the stream was known to hold; whole when nothing is known to be missing.
func (f *Found) left() (l Left, whole bool) {
	switch {
	case f.Mark.Created.IsZero():
		return Left{Last: f.Last}, false // it was never met: nobody knows
	case !f.Created.Equal(f.Mark.Created):
		return Left{Made: true, Last: f.Last}, false
	case f.Proven:
		return Left{Last: min(f.Left, f.Last)}, false
	case f.Last < f.Mark.Highest:
		return Left{Last: f.Last}, false
	}
	return Left{}, true
}

// A Left is what a stream has left of its messages: those up to a sequence, or none if it was made anew since.
type Left struct {
	Made bool
	Last uint64
}

// A Loss is what has to be put back.
type Loss struct {
	Streams map[string]Left // work streams that have lost messages, or were never met
	Buckets []string        // services whose bucket has lost records
	Domains []string        // work streams that wait until all is back
}

// Plan says what has to be put back, given how all streams and buckets were found.
func Plan(found []Found) Loss {
	loss := Loss{Streams: map[string]Left{}}
	byName := map[string]*Found{}
	for i := range found {
		byName[found[i].Stream] = &found[i]
	}
	for _, service := range stream.Services() {
		f := byName[stream.BucketStream(stream.Bucket(service))]
		if f == nil {
			continue
		}
		_, whole := f.left()
		if !f.Open || !whole && !f.Mark.Created.IsZero() {
			loss.Buckets = append(loss.Buckets, service)
		}
	}
	for _, name := range stream.WorkStreams() {
		f := byName[name]
		if f == nil {
			continue
		}
		left, whole := f.left()
		if !whole {
			loss.Streams[name] = left
		}
		if !whole || slices.ContainsFunc(servicesOf(name), func(s string) bool { return slices.Contains(loss.Buckets, s) }) {
			loss.Domains = append(loss.Domains, name)
		}
	}
	return loss
}

// Message is the newest message that addresses a task, given which one was known: for one that is lost it is none, or if the
// task has ended the last that there is, since a trim that waits for less would wait for good.
func (l *Loss) Message(name string, t *job.Task) uint64 {
	left, lost := l.Streams[name]
	switch {
	case !lost, !left.Made && t.Message <= left.Last:
		return t.Message
	case t.State.Ended():
		return min(t.Message, left.Last)
	}
	return 0
}

// Again reports whether a task has to be asked for again once everything has been read: it has not ended, the relay has left its
// accept behind, or what asks for it is an entry, and no message does.
func Again(j *job.Job, t *job.Task, position uint64) bool {
	return !t.State.Ended() && t.Message == 0 && t.Entry != 0 && (j.Key <= position || t.Entry > j.Key)
}

// Kept reports whether a task's record must be in its bucket: what has ended must not be done again, and what has begun must not
// begin anew.
func Kept(ended, begun bool) bool { return ended || begun }

func servicesOf(name string) []string {
	var services []string
	for _, d := range stream.Durables() {
		if d.Stream == name && !slices.Contains(services, d.Service) {
			services = append(services, d.Service)
		}
	}
	return services
}
