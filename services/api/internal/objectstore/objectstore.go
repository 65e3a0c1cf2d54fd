// Package objectstore reads result pictures from JetStream's Object Store, where the imager puts them.
package objectstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/web"
)

// Store implements [web.Pictures].
type Store struct {
	js     jetstream.JetStream
	bucket string
}

// New makes a reader of a bucket.
func New(js jetstream.JetStream, bucket string) *Store { return &Store{js: js, bucket: bucket} }

// Open implements [web.Pictures].
func (s *Store) Open(ctx context.Context, jobID string) (web.Picture, error) {
	objects, err := s.js.ObjectStore(ctx, s.bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return web.Picture{}, web.ErrNoPicture
	}
	if err != nil {
		return web.Picture{}, fmt.Errorf("open the object store %s: %w", s.bucket, err)
	}
	object, err := objects.Get(ctx, jobID)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return web.Picture{}, web.ErrNoPicture
	}
	if err != nil {
		return web.Picture{}, fmt.Errorf("open the picture of job %s: %w", jobID, err)
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
