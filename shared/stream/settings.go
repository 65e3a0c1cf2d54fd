package stream

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/event"
)

// configNumber counts the versions of what [Ensure] makes. Raise it with every change of a stream's or consumer's
// settings: an api with a lower number leaves what a higher one has made as it is, so that two versions side by side in a
// rolling deploy don't narrow a filter between them.
const configNumber = 2

const (
	// AckWait is how long a delivery may go without a sign of life before the server gives it to somebody else.
	AckWait = 4 * time.Second
	// MaxWaiting bounds the pull requests that wait at one consumer; it can't be changed once a consumer exists.
	MaxWaiting = 512

	duplicateWindow = 30 * time.Second
	minLimit        = 1 << 20
	// minPayload is what a server must take: the largest event with its headers. One that takes less would stop a stream's relay at
	// the first event that it refuses.
	minPayload = event.MaxEvent + 16<<10
)

// Config says how large everything may grow.
type Config struct {
	MaxStore         int64         // bytes of disk that all streams and buckets share; their limits add up to at most 90 % of it
	History          bool          // whether HISTORY gets copies
	HistoryRetention time.Duration // default 7 days
	DeadRetention    time.Duration // default 90 days
	SkipOpen         bool          // leave a bucket without its [OpenKey] when it is not there
	StoreID          string        // of the store that streams and buckets belong to, kept in their metadata; empty leaves what is there
}

// DefaultMaxStore is MaxStore when nothing else is known.
const DefaultMaxStore = 8 << 30

func (c Config) withDefaults() Config {
	if c.MaxStore == 0 {
		c.MaxStore = DefaultMaxStore
	}
	if c.HistoryRetention == 0 {
		c.HistoryRetention = 7 * 24 * time.Hour
	}
	if c.DeadRetention == 0 {
		c.DeadRetention = 90 * 24 * time.Hour
	}
	return c
}

func (c Config) share(percent int) int64 { return max(minLimit, c.MaxStore/100*int64(percent)) }

// A part is one stream, or the stream under a bucket or object store, and which of its settings are ours. The others
// (replicas and placement above all) are the operator's and stay as they are.
type part struct {
	what   string // for errors
	stream string
	set    func(*jetstream.StreamConfig)
}

func parts(cfg Config) []part {
	var all []part
	for _, d := range domains() {
		all = append(all, part{"stream " + d.name, d.name, cfg.workStream(d)})
	}
	all = append(all, part{"stream " + Dead, Dead, cfg.dead}, part{"stream " + Records, Records, cfg.records})
	for _, service := range Services() {
		all = append(all, part{"bucket " + Bucket(service), BucketStream(Bucket(service)), cfg.bucket(service)})
	}
	all = append(all, part{"object store " + Pictures, ObjectStream(Pictures), cfg.pictures})
	// HISTORY last: it reads the work streams.
	return append(all, part{"stream " + History, History, cfg.history})
}

func (c Config) workStream(d domain) func(*jetstream.StreamConfig) {
	return func(s *jetstream.StreamConfig) {
		s.Description = "what is unfinished of " + d.prefix + ".*"
		s.Subjects = []string{d.prefix + ".>", "later." + d.prefix + ".>", "retry.*." + d.prefix + ".>"}
		s.Discard, s.MaxBytes, s.MaxAge = jetstream.DiscardNew, c.share(d.share), 0
		s.MaxMsgs, s.MaxMsgsPerSubject, s.MaxMsgSize = -1, -1, 2*event.MaxEvent
		s.Duplicates, s.AllowDirect = duplicateWindow, true
	}
}

// Limit is the max_bytes of a work stream; 0 for a name that is none.
func (c Config) Limit(name string) int64 {
	for _, d := range domains() {
		if d.name == name {
			return c.withDefaults().share(d.share)
		}
	}
	return 0
}

func (c Config) dead(s *jetstream.StreamConfig) {
	s.Description, s.Subjects = "copies of what failed for good", []string{"dead.>"}
	s.Discard, s.MaxBytes, s.MaxAge = jetstream.DiscardOld, c.share(3), c.DeadRetention
	s.Duplicates, s.AllowDirect = min(duplicateWindow, c.DeadRetention), true
}

func (c Config) records(s *jetstream.StreamConfig) {
	s.Description, s.Subjects = "what is known of users, for an api that has lost its store", []string{"record.>"}
	s.Discard, s.MaxBytes, s.MaxAge = jetstream.DiscardNew, c.share(4), 0
	s.MaxMsgs, s.MaxMsgsPerSubject, s.MaxMsgSize = -1, -1, 2*event.MaxFacts
	s.Duplicates, s.AllowDirect = duplicateWindow, true
}

func (c Config) history(s *jetstream.StreamConfig) {
	s.Description = "a copy of every event, for people and replay"
	s.Discard, s.MaxBytes, s.MaxAge = jetstream.DiscardOld, c.share(7), c.HistoryRetention
	s.Duplicates, s.AllowDirect = min(duplicateWindow, c.HistoryRetention), true
	s.Subjects, s.Sources = nil, nil
	if !c.History {
		// A stream has to read something: its own name is what the server would choose.
		s.Subjects = []string{History}
		return
	}
	for _, d := range domains() {
		s.Sources = append(s.Sources, &jetstream.StreamSource{Name: d.name, FilterSubject: d.prefix + ".>"})
	}
}

// bucket makes the stream a key-value bucket with one value a key, as the jetstream package does.
func (c Config) bucket(service string) func(*jetstream.StreamConfig) {
	return func(s *jetstream.StreamConfig) {
		s.Description, s.Subjects = "what "+service+" says of its tasks", []string{"$KV." + Bucket(service) + ".>"}
		s.Discard, s.MaxBytes, s.MaxAge = jetstream.DiscardNew, c.share(bucketShare(service)), 0
		s.MaxMsgs, s.MaxMsgsPerSubject, s.MaxMsgSize = -1, 1, -1
		s.AllowRollup, s.DenyDelete, s.AllowDirect = true, true, true
		s.Duplicates = duplicateWindow
	}
}

// pictures makes the stream an object store, as the jetstream package does.
func (c Config) pictures(s *jetstream.StreamConfig) {
	s.Description, s.Subjects = "result pictures by job id", []string{"$O." + Pictures + ".C.>", "$O." + Pictures + ".M.>"}
	s.Discard, s.MaxBytes, s.MaxAge = jetstream.DiscardNew, c.share(15), 0
	s.AllowRollup, s.AllowDirect, s.Duplicates = true, true, duplicateWindow
}

// bucketShare leaves room for more records than the service's streams hold messages.
func bucketShare(service string) int {
	sum := 1
	for _, dom := range domains() {
		if slices.ContainsFunc(Durables(), func(d Durable) bool { return d.Service == service && d.Stream == dom.name }) {
			sum += dom.share
		}
	}
	return sum
}

// set puts what is ours into the settings of the task's consumer. No BackOff, which would replace AckWait; no MaxDeliver,
// which drops silently; no MaxAckPending, which would stall a service behind its own failing jobs.
func (d Durable) set(c *jetstream.ConsumerConfig) {
	c.FilterSubject, c.FilterSubjects = "", d.Filters
	c.DeliverPolicy, c.AckPolicy, c.AckWait = jetstream.DeliverAllPolicy, jetstream.AckExplicitPolicy, AckWait
	c.BackOff, c.MaxDeliver, c.MaxAckPending, c.MaxWaiting = nil, -1, -1, MaxWaiting
}
