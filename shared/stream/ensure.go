package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// metadataNumber is the key of the configuration number in the metadata of streams and consumers.
const metadataNumber = "handoff-config"

// Server errors that mean too little storage.
const (
	codeStorageExceeded = 10047
	codeInsufficient    = 10023
)

// Ensure makes the streams, buckets and consumers that are missing and changes what differs in those that are there. It
// never deletes, and leaves alone what a newer version made. Where nothing differs it only reads, so it can be called again
// at any time, and often.
func Ensure(ctx context.Context, js jetstream.JetStream, cfg Config) error {
	cfg = cfg.withDefaults()
	for _, p := range parts(cfg) {
		if err := ensureStream(ctx, js, p, cfg.History || p.stream != History); err != nil {
			return explain(err, p.what)
		}
	}
	if !cfg.SkipOpen {
		for _, service := range Services() {
			if err := ensureOpen(ctx, js, Bucket(service)); err != nil {
				return explain(err, "key "+OpenKey+" of bucket "+Bucket(service))
			}
		}
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
	if errors.As(err, &api) && (api.ErrorCode == codeStorageExceeded || api.ErrorCode == codeInsufficient) {
		return fmt.Errorf("make %s: the NATS server has less JetStream storage than NATS_MAX_STORE asks for; lower it, or raise max_file_store there: %w", what, err)
	}
	return fmt.Errorf("make %s: %w", what, err)
}

func ensureStream(ctx context.Context, js jetstream.JetStream, p part, wanted bool) error {
	s, err := js.Stream(ctx, p.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if !wanted {
			return nil
		}
		cfg, _ := changed(jetstream.StreamConfig{Name: p.stream, Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage}, p.set)
		_, err = js.CreateStream(ctx, cfg)
		return err
	}
	if err != nil {
		return err
	}
	if cfg, differs := changed(s.CachedInfo().Config, p.set); differs {
		_, err = js.UpdateStream(ctx, cfg)
	}
	return err
}

// changed is what a stream with the settings have is to become, and whether that is anything else.
func changed(have jetstream.StreamConfig, set func(*jetstream.StreamConfig)) (jetstream.StreamConfig, bool) {
	if number(have.Metadata) > configNumber {
		return have, false
	}
	next := have
	set(&next)
	next.Metadata = withNumber(have.Metadata)
	return next, !reflect.DeepEqual(next, have)
}

// ensureOpen says that the bucket has not lost data.
func ensureOpen(ctx context.Context, js jetstream.JetStream, bucket string) error {
	kv, err := js.KeyValue(ctx, bucket)
	if err != nil {
		return err
	}
	if _, err = kv.Get(ctx, OpenKey); !errors.Is(err, jetstream.ErrKeyNotFound) {
		return err
	}
	if _, err = kv.Create(ctx, OpenKey, []byte("1")); errors.Is(err, jetstream.ErrKeyExists) {
		return nil
	}
	return err
}

func ensureConsumer(ctx context.Context, js jetstream.JetStream, d Durable) error {
	c, err := js.Consumer(ctx, d.Stream, d.Service)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		cfg, _ := changedConsumer(jetstream.ConsumerConfig{Durable: d.Service}, d)
		_, err = js.CreateConsumer(ctx, d.Stream, cfg)
		return err
	}
	if err != nil {
		return err
	}
	if cfg, differs := changedConsumer(c.CachedInfo().Config, d); differs {
		_, err = js.UpdateConsumer(ctx, d.Stream, cfg)
	}
	return err
}

func changedConsumer(have jetstream.ConsumerConfig, d Durable) (jetstream.ConsumerConfig, bool) {
	if number(have.Metadata) > configNumber {
		return have, false
	}
	next := have
	d.set(&next)
	next.Metadata = withNumber(have.Metadata)
	return next, !reflect.DeepEqual(next, have)
}

func withNumber(metadata map[string]string) map[string]string {
	next := maps.Clone(metadata)
	if next == nil {
		next = map[string]string{}
	}
	next[metadataNumber] = strconv.Itoa(configNumber)
	return next
}

func number(metadata map[string]string) int {
	n, err := strconv.Atoi(metadata[metadataNumber])
	if err != nil {
		return 0
	}
	return n
}
