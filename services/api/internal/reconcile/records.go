package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

const (
	codeWrongLastSequence = 10071
	writesAtOnce          = 256
)

var errConflict = errors.New("record has another revision")

// restoreBuckets has every bucket that lost records hold again what must be in it, and then opens it.
func (r *Reconciler) restoreBuckets(ctx context.Context, epoch uint64, loss *Loss, found []Found) error {
	var all []*bucket
	rest := false
	for _, service := range loss.Buckets {
		b := &bucket{js: r.js, service: service, parts: r.parts}
		for i := range found {
			if f := &found[i]; f.Stream == b.stream() {
				rest = rest || !f.Mark.Created.IsZero()
				if f.Open {
					if err := b.shut(ctx); err != nil {
						return err
					}
				}
			}
		}
		b.missing = map[string]struct{}{}
		r.parts.Backlog.Each(func(row *backlog.Row) bool {
			if row.Service == service && Kept(row.Ended(), row.Begun) {
				b.missing[row.Job] = struct{}{}
			}
			return true
		})
		rest = rest || len(b.missing) > 0
		all = append(all, b)
	}
	if rest { // holders that live put their records back
		if err := r.wait(ctx, epoch, stream.AckWait); err != nil {
			return err
		}
	}
	for _, b := range all {
		if err := b.restore(ctx); err != nil {
			return fmt.Errorf("put back the records of %s: %w", b.service, err)
		}
	}
	return nil
}

// bucket puts back the records of one service.
type bucket struct {
	js      jetstream.JetStream
	service string
	parts   *Parts
	missing map[string]struct{} // jobs whose record must be there and was not seen
	writes  []write
}

// write is a record that is to be written over a revision.
type write struct {
	job      string
	record   *event.Record
	revision uint64
	ack      jetstream.PubAckFuture
}

func (b *bucket) stream() string { return stream.BucketStream(stream.Bucket(b.service)) }

// shut takes the open key away, so that nothing is claimed in a bucket that has gone back in time.
func (b *bucket) shut(ctx context.Context) error {
	kv, err := b.js.KeyValue(ctx, stream.Bucket(b.service))
	if err == nil {
		err = kv.Delete(ctx, stream.OpenKey)
	}
	if err != nil {
		return fmt.Errorf("close bucket of %s: %w", b.service, err)
	}
	return nil
}

func (b *bucket) restore(ctx context.Context) error {
	s, err := b.js.Stream(ctx, b.stream())
	if err != nil {
		return err
	}
	if err := b.scan(ctx, s); err != nil {
		return err
	}
	for id := range b.missing {
		t, err := b.task(id)
		if err != nil {
			return err
		}
		if t == nil {
			continue
		}
		if err := b.put(ctx, s, write{job: id, record: job.Record(t, time.Now())}); err != nil {
			return err
		}
	}
	if err := b.flush(ctx, s); err != nil {
		return err
	}
	return stream.Open(ctx, b.js, b.service)
}

// task gives what the store knows; nil for a task that it does not.
func (b *bucket) task(id string) (*job.Task, error) {
	j, err := b.parts.Store.Job(id)
	if errors.Is(err, job.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return j.Task(b.service), nil
}

// scan reads the bucket to its end and overwrites every record that says less than the store.
func (b *bucket) scan(ctx context.Context, s jetstream.Stream) error {
	c, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Name: "api-" + nuid.Next(), Description: "the api puts records back", AckPolicy: jetstream.AckNonePolicy,
		DeliverPolicy: jetstream.DeliverAllPolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 30 * time.Second,
	})
	if err != nil {
		return err
	}
	defer func() { _ = s.DeleteConsumer(context.WithoutCancel(ctx), c.CachedInfo().Name) }() // it goes by itself, too
	pending := c.CachedInfo().NumPending
	for pending > 0 {
		batch, err := c.Fetch(1000, jetstream.FetchMaxWait(5*time.Second))
		if err != nil {
			return err
		}
		n := 0
		for m := range batch.Messages() {
			n++
			md, err := m.Metadata()
			if err != nil {
				return err
			}
			pending = md.NumPending
			if err := b.compare(ctx, s, m, md.Sequence.Stream); err != nil {
				return err
			}
			if pending == 0 {
				break
			}
		}
		if err := batch.Error(); err != nil && pending > 0 {
			return err
		}
		if n == 0 {
			info, err := c.Info(ctx)
			if err != nil {
				return err
			}
			pending = info.NumPending
		}
	}
	return b.flush(ctx, s)
}

func (b *bucket) compare(ctx context.Context, s jetstream.Stream, m jetstream.Msg, revision uint64) error {
	id := strings.TrimPrefix(m.Subject(), stream.RecordSubject(b.service, ""))
	if strings.HasPrefix(id, "_") || m.Headers().Get("KV-Operation") != "" {
		return nil
	}
	record, err := event.DecodeRecord(m.Data())
	if err != nil {
		return nil //nolint:nilerr // a newer worker's; whoever understands it goes on
	}
	delete(b.missing, id)
	t, err := b.task(id)
	if err != nil || t == nil || !job.Behind(record, t) {
		return err
	}
	return b.put(ctx, s, write{job: id, record: job.Record(t, time.Now()), revision: revision})
}

// put writes a record soon.
func (b *bucket) put(ctx context.Context, s jetstream.Stream, w write) error {
	b.writes = append(b.writes, w)
	if len(b.writes) < writesAtOnce {
		return nil
	}
	return b.flush(ctx, s)
}

// flush writes what waits.
func (b *bucket) flush(ctx context.Context, s jetstream.Stream) error {
	writes := b.writes
	b.writes = nil
	for i := range writes {
		if err := b.send(&writes[i]); err != nil {
			return err
		}
	}
	for i := range writes {
		w := &writes[i]
		err := w.await(ctx)
		for n := 0; errors.Is(err, errConflict) && n < 5; n++ {
			err = b.again(ctx, s, w)
		}
		if err != nil {
			return fmt.Errorf("record of job %s: %w", w.job, err)
		}
	}
	return nil
}

func (b *bucket) send(w *write) error {
	data, err := w.record.Encode()
	if err != nil {
		return err
	}
	msg := nats.NewMsg(stream.RecordSubject(b.service, w.job))
	msg.Data = data
	// Padded as the workers do it: the header is stored, too, and must not grow by a digit in a bucket that is full.
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprintf("%020d", w.revision))
	w.ack, err = b.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
	return err
}

func (w *write) await(ctx context.Context) error {
	select {
	case <-w.ack.Ok():
		return nil
	case err := <-w.ack.Err():
		var api *jetstream.APIError
		if errors.As(err, &api) && api.ErrorCode == codeWrongLastSequence {
			return errConflict
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// again looks who was faster. A record that says as much as the store may stay.
func (b *bucket) again(ctx context.Context, s jetstream.Stream, w *write) error {
	m, err := s.GetLastMsgForSubject(ctx, stream.RecordSubject(b.service, w.job))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		w.revision = 0
	case err != nil:
		return err
	default:
		w.revision = m.Sequence
		t, err := b.task(w.job)
		if err != nil || t == nil {
			return err
		}
		if record, err := event.DecodeRecord(m.Data); m.Header.Get("KV-Operation") == "" && (err != nil || !job.Behind(record, t)) {
			return nil //nolint:nilerr // one that can't be decoded is a newer worker's
		}
	}
	if err := b.send(w); err != nil {
		return err
	}
	return w.await(ctx)
}
