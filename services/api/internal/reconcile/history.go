package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/stream"
)

// restartHistory has HISTORY copy from the beginning of each work stream that was made anew: the server goes on behind the highest
// sequence that it has copied under the stream's name, so those copies have to leave. [stream.Ensure] takes the source in again.
func (r *Reconciler) restartHistory(ctx context.Context, found []Found) error {
	var anew []string
	for i := range found {
		f := &found[i]
		if f.Mark.Created.IsZero() || !slices.Contains(stream.WorkStreams(), f.Stream) {
			continue
		}
		s, err := r.js.Stream(ctx, f.Stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && !s.CachedInfo().Created.Equal(f.Mark.Created) {
			anew = append(anew, f.Stream)
		} else if err != nil {
			return fmt.Errorf("look at stream %s: %w", f.Stream, err)
		}
	}
	if len(anew) == 0 {
		return nil
	}
	s, err := r.js.Stream(ctx, stream.History)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", stream.History, err)
	}
	cfg := s.CachedInfo().Config
	var rest, gone []*jetstream.StreamSource
	for _, source := range cfg.Sources {
		if slices.Contains(anew, source.Name) {
			gone = append(gone, source)
		} else {
			rest = append(rest, source)
		}
	}
	cfg.Sources = rest
	if len(rest) == 0 {
		cfg.Subjects = []string{stream.History} // a stream has to read something
	}
	if s, err = r.js.UpdateStream(ctx, cfg); err != nil {
		return fmt.Errorf("take sources from %s: %w", stream.History, err)
	}
	for _, source := range gone {
		if err := s.Purge(ctx, jetstream.WithPurgeSubject(source.FilterSubject)); err != nil {
			return fmt.Errorf("purge the copies of %s: %w", source.Name, err)
		}
	}
	return nil
}
