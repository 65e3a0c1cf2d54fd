package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/event"
)

// configNumber counts the versions of what Ensure makes. Raise it with every change of a stream's or consumer's settings:
// an api with a lower number leaves what a higher one has made as it is, so that two versions side by side in a
// rolling deploy don't narrow a filter between them.
const configNumber = 1

const metadataNumber = "handoff-config"

const (
	// AckWait is how long a delivery may go without a sign of life before the server gives it to somebody else.
	AckWait = 4 * time.Second
	// MaxWaiting bounds the pull requests that wait at one consumer; it can't be changed once a consumer exists.
	MaxWaiting = 512

	duplicateWindow = 30 * time.Second
	minLimit        = 1 << 20
)

// Config says how large everything may grow.
type Config struct {
	MaxStore         int64         // bytes of disk that all streams and buckets share; their limits add up to 90 % of it
	History          bool          // whether to keep HISTORY
	HistoryRetention time.Duration // default 7 days
	DeadRetention    time.Duration // default 90 days
	SkipOpen         bool          // leave a new bucket without its [OpenKey]
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

// Ensure makes the streams, buckets and consumers that are missing and updates those that an older version made. It
// never deletes, and leaves alone what a newer version made. It can be called again at any time.
func Ensure(ctx context.Context, js jetstream.JetStream, cfg Config) error {
	cfg = cfg.withDefaults()
	for _, s := range streamConfigs(cfg) {
		if err := ensureStream(ctx, js, s); err != nil {
			return explain(err, "stream "+s.Name)
		}
	}
	for _, service := range Services() {
		if err := ensureBucket(ctx, js, service, cfg); err != nil {
			return explain(err, "bucket "+Bucket(service))
		}
	}
	if err := ensurePictures(ctx, js, cfg); err != nil {
		return explain(err, "object store "+Pictures)
	}
	for _, d := range Durables() {
		if err := ensureConsumer(ctx, js, d); err != nil {
			return explain(err, "consumer "+d.Service+" on "+d.Stream)
		}
	}
	return nil
}

func explain(err error, what string) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == 10047 || api.ErrorCode == 10023) {
		return fmt.Errorf("make %s: the NATS server has less JetStream storage than NATS_MAX_STORE asks for; lower it, or raise max_file_store there: %w", what, err)
	}
	return fmt.Errorf("make %s: %w", what, err)
}

func streamConfigs(cfg Config) []jetstream.StreamConfig {
	var all []jetstream.StreamConfig
	var sources []*jetstream.StreamSource
	for _, d := range domains() {
		all = append(all, jetstream.StreamConfig{
			Name: d.name, Description: "what is unfinished of " + d.prefix + ".*",
			Subjects:  []string{d.prefix + ".>", "later." + d.prefix + ".>", "retry.*." + d.prefix + ".>"},
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
			MaxBytes: cfg.share(d.share), MaxMsgSize: 2 * event.MaxEvent, Duplicates: duplicateWindow, AllowDirect: true,
		})
		sources = append(sources, &jetstream.StreamSource{Name: d.name, FilterSubject: d.prefix + ".>"})
	}
	all = append(all, jetstream.StreamConfig{
		Name: Dead, Description: "copies of what failed for good", Subjects: []string{"dead.>"},
		Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld,
		MaxBytes: cfg.share(3), MaxAge: cfg.DeadRetention, Duplicates: duplicateWindow, AllowDirect: true,
	})
	if cfg.History {
		all = append(all, jetstream.StreamConfig{
			Name: History, Description: "a copy of every event, for people and replay", Sources: sources,
			Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld,
			MaxBytes: cfg.share(8), MaxAge: cfg.HistoryRetention, AllowDirect: true,
		})
	}
	for i := range all {
		all[i].Metadata = metadata()
	}
	return all
}

func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	newer, err := madeByNewer(ctx, js, want.Name)
	if newer || err != nil {
		return err
	}
	_, err = js.CreateOrUpdateStream(ctx, want)
	return err
}

func ensureBucket(ctx context.Context, js jetstream.JetStream, service string, cfg Config) error {
	name := Bucket(service)
	newer, err := madeByNewer(ctx, js, BucketStream(name))
	if err != nil {
		return err
	}
	var kv jetstream.KeyValue
	if newer {
		kv, err = js.KeyValue(ctx, name)
	} else {
		kv, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: name, Description: "what " + service + " says of its tasks", History: 1,
			Storage: jetstream.FileStorage, MaxBytes: cfg.share(bucketShare(service)), Metadata: metadata(),
		})
	}
	if err != nil || cfg.SkipOpen {
		return err
	}
	if _, err := kv.Create(ctx, OpenKey, []byte("1")); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("open it: %w", err)
	}
	return nil
}

// bucketShare leaves room for more records than the service's streams hold messages.
func bucketShare(service string) int {
	sum := 1
	for _, d := range Durables() {
		if d.Service != service {
			continue
		}
		for _, dom := range domains() {
			if dom.name == d.Stream {
				sum += dom.share
			}
		}
	}
	return sum
}

func ensurePictures(ctx context.Context, js jetstream.JetStream, cfg Config) error {
	newer, err := madeByNewer(ctx, js, "OBJ_"+Pictures)
	if newer || err != nil {
		return err
	}
	_, err = js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: Pictures, Description: "result pictures by job id",
		Storage: jetstream.FileStorage, MaxBytes: cfg.share(15), Metadata: metadata(),
	})
	return err
}

func ensureConsumer(ctx context.Context, js jetstream.JetStream, d Durable) error {
	have, err := js.Consumer(ctx, d.Stream, d.Service)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
	case err != nil:
		return err
	case number(have.CachedInfo().Config.Metadata) > configNumber:
		return nil
	}
	// No BackOff, which would replace AckWait; no MaxDeliver, which drops silently; no MaxAckPending, which would stall
	// a service behind its own failing jobs.
	_, err = js.CreateOrUpdateConsumer(ctx, d.Stream, jetstream.ConsumerConfig{
		Durable: d.Service, FilterSubjects: d.Filters, DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: AckWait, MaxDeliver: -1, MaxAckPending: -1,
		MaxWaiting: MaxWaiting, Metadata: metadata(),
	})
	return err
}

func madeByNewer(ctx context.Context, js jetstream.JetStream, name string) (bool, error) {
	s, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return number(s.CachedInfo().Config.Metadata) > configNumber, nil
}

func metadata() map[string]string {
	return map[string]string{metadataNumber: strconv.Itoa(configNumber)}
}

func number(metadata map[string]string) int {
	n, err := strconv.Atoi(metadata[metadataNumber])
	if err != nil {
		return 0
	}
	return n
}
