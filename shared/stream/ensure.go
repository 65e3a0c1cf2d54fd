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
	if most := js.Conn().MaxPayload(); most > 0 && most < minPayload {
		return fmt.Errorf("the NATS server takes messages of up to %d bytes: raise its max_payload to %d or more", most, minPayload)
	}
	if err := ensureStreams(ctx, js, cfg, everything(cfg)); err != nil {
		return err
	}
	if !cfg.SkipOpen {
		for _, service := range Services() {
			if err := Open(ctx, js, service); err != nil {
				return explain(err, "key "+OpenKey+" of bucket "+Bucket(service))
			}
		}
	}
	for _, d := range Durables() {
		if err := ensureConsumer(ctx, js, d); err != nil {
			return explain(err, "consumer "+d.Name+" on "+d.Stream)
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

// everything is what there is to make.
func everything(cfg Config) []part { return append(parts(cfg), control()) }

// ensureStreams looks at all the streams before it makes or changes any: of a store that is not ours nothing is touched.
func ensureStreams(ctx context.Context, js jetstream.JetStream, cfg Config, all []part) error {
	there := make([]*jetstream.StreamConfig, len(all))
	for i, p := range all {
		s, err := js.Stream(ctx, p.stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return explain(err, p.what)
		}
		there[i] = &s.CachedInfo().Config
		if owner := there[i].Metadata[metadataStore]; owner != "" && cfg.StoreID != "" && owner != cfg.StoreID {
			return &ForeignError{What: p.what, Owner: owner, Ours: cfg.StoreID}
		}
	}
	for i, p := range all {
		if err := ensureStream(ctx, js, p, there[i], cfg); err != nil {
			return explain(err, p.what)
		}
	}
	return nil
}

// ensureStream makes a stream, or changes what there is of it.
func ensureStream(ctx context.Context, js jetstream.JetStream, p part, there *jetstream.StreamConfig, cfg Config) error {
	if there == nil {
		if p.stream == History && !cfg.History {
			return nil
		}
		next, _ := changed(jetstream.StreamConfig{Name: p.stream, Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage}, p.set, cfg.StoreID)
		_, err := js.CreateStream(ctx, next)
		return err
	}
	if next, differs := changed(*there, p.set, cfg.StoreID); differs {
		_, err := js.UpdateStream(ctx, next)
		return err
	}
	return nil
}

// changed is what a stream with the settings have is to become, and whether that is anything else. store is the id that it shall
// bear; empty leaves the one that it has.
func changed(have jetstream.StreamConfig, set func(*jetstream.StreamConfig), store string) (jetstream.StreamConfig, bool) {
	if number(have.Metadata) > configNumber {
		return have, false
	}
	next := have
	set(&next)
	next.Metadata = withNumber(have.Metadata)
	if store != "" {
		next.Metadata[metadataStore] = store
	}
	return next, !reflect.DeepEqual(next, have)
}

func ensureConsumer(ctx context.Context, js jetstream.JetStream, d Durable) error {
	c, err := js.Consumer(ctx, d.Stream, d.Name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		cfg, _ := changedConsumer(jetstream.ConsumerConfig{Durable: d.Name}, d)
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
