package trim

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/stream"
)

const (
	codeWrongLastSequence = 10071
	codeMaxBytes          = 10077
	codeInsufficient      = 10023 // the server's own limit
)

// batchSize is how much is changed in one transaction: accepts wait for it.
const batchSize = 500

func chunks[T any](all []T) iter.Seq[[]T] { return slices.Chunk(all, batchSize) }

func (t *Trimmer) purge(ctx context.Context, s jetstream.Stream, below uint64) error {
	if !t.may() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(below)); err != nil {
		return fmt.Errorf("purge %s below %d: %w", s.CachedInfo().Config.Name, below, err)
	}
	t.Log.Debug("Purged", "stream", s.CachedInfo().Config.Name, "below", below)
	return nil
}

func (t *Trimmer) purgeStreams(ctx context.Context, v *view, o *Orders) error {
	var errs []error
	for name, below := range o.Streams {
		errs = append(errs, t.purge(ctx, v.handles[name], below))
	}
	return errors.Join(errs...)
}

func (t *Trimmer) clearBuckets(ctx context.Context, v *view, o *Orders) error {
	var errs []error
	for service, c := range o.Buckets {
		errs = append(errs, t.clearBucket(ctx, v.handles[stream.BucketStream(stream.Bucket(service))], service, c))
	}
	return errors.Join(errs...)
}

// clearBucket writes what must stay to the bucket's end, the open key first, and purges what lies before. A bucket without the key has
// lost data that is still being put back.
func (t *Trimmer) clearBucket(ctx context.Context, s jetstream.Stream, service string, c Clearance) error {
	open, err := t.again(ctx, s, stream.RecordSubject(service, stream.OpenKey), 0)
	if err != nil {
		return fmt.Errorf("write key %s of bucket %s again: %w", stream.OpenKey, stream.Bucket(service), err)
	}
	if !open {
		return nil
	}
	below := c.Below
	for _, r := range c.Again {
		if !t.may() {
			return nil
		}
		if _, err := t.again(ctx, s, stream.RecordSubject(service, r.Job), r.Revision); err != nil {
			t.Log.Warn("Record can't be written again", "service", service, "job", r.Job, "error", err)
			below = r.Revision
			break
		}
	}
	return t.purge(ctx, s, below)
}

// again writes what is under a subject once more, unchanged, so that it lies at the end. A revision other than 0 is where it
// was: when it has moved since, or moves meanwhile, all is well. It reports whether there is anything.
func (t *Trimmer) again(ctx context.Context, s jetstream.Stream, subject string, revision uint64) (there bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if m.Header.Get("KV-Operation") != "" || m.Header.Get(jetstream.MarkerReasonHeader) != "" {
		return false, nil
	}
	if revision != 0 && m.Sequence != revision {
		return true, nil
	}
	// Padded as the workers pad it, so that it is of the same size and fits into a full bucket; else as long as it was.
	for _, width := range []int{20, len(m.Header.Get(jetstream.ExpectedLastSubjSeqHeader))} {
		out := nats.NewMsg(subject)
		out.Data = m.Data
		out.Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprintf("%0*d", width, m.Sequence))
		_, err = t.JetStream.PublishMsg(ctx, out, jetstream.WithRetryAttempts(0))
		switch code(err) {
		case codeWrongLastSequence:
			return revision != 0, nil
		case codeMaxBytes, codeInsufficient:
			continue
		}
		return err == nil, err
	}
	return false, err
}

func code(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// prime writes each bucket's open key once as [Trimmer.again] does, while there is room: what made the key may have written it shorter,
// and then a full bucket could not be cleared.
func (t *Trimmer) prime(ctx context.Context, v *view) error {
	for service, b := range v.Buckets {
		if t.primed[service].Equal(b.Created) || b.Last == 0 {
			continue
		}
		there, err := t.again(ctx, v.handles[stream.BucketStream(stream.Bucket(service))], stream.RecordSubject(service, stream.OpenKey), 0)
		if err != nil {
			return fmt.Errorf("write key %s of bucket %s again: %w", stream.OpenKey, stream.Bucket(service), err)
		}
		if there {
			t.primed[service] = b.Created
		}
	}
	return nil
}
