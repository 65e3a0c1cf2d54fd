// Package objectstore reads result pictures from JetStream's Object Store, where the imager puts them.
package objectstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/web"
)

// Store implements [web.Pictures].
type Store struct {
	js     jetstream.JetStream
	bucket string
}

// New makes a reader of a bucket.
func New(js jetstream.JetStream, bucket string) *Store { return &Store{js: js, bucket: bucket} }

// patience bounds the wait for NATS before the first byte of a picture.
const patience = 3 * time.Second

// retryAfter is how long NATS may be given to come back.
const retryAfter = 2 * time.Second

// later makes err one that passes: NATS is away, or busy.
func later(err error) error {
	return errors.Join(&accept.UnavailableError{Reason: "the picture can't be read while NATS is away", RetryAfter: retryAfter}, err)
}

// Open implements [web.Pictures].
func (s *Store) Open(ctx context.Context, jobID string) (web.Picture, error) {
	finding, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	objects, err := s.js.ObjectStore(finding, s.bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return web.Picture{}, web.ErrNoPicture
	}
	if err != nil {
		return web.Picture{}, later(fmt.Errorf("open the object store %s: %w", s.bucket, err))
	}
	object, err := objects.Get(ctx, jobID)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return web.Picture{}, web.ErrNoPicture
	}
	if err != nil {
		return web.Picture{}, later(fmt.Errorf("open the picture of job %s: %w", jobID, err))
	}
	info, err := object.Info()
	if err != nil {
		_ = object.Close()
		return web.Picture{}, fmt.Errorf("read about the picture of job %s: %w", jobID, err)
	}
	return web.Picture{
		Body: object, Size: int64(info.Size), ContentType: info.Headers.Get("Content-Type"), Digest: info.Digest,
	}, nil
}
