package objectstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Store is one bucket of pictures.
type Store struct {
	js     jetstream.JetStream
	bucket string
}

// New makes a store on the named bucket, which need not exist yet.
func New(js jetstream.JetStream, bucket string) *Store { return &Store{js: js, bucket: bucket} }

// patience bounds a call: an answer that was lost with the connection never comes, and another attempt finds NATS again.
const patience = 10 * time.Second

// Put keeps data under name. What is there under that name already is replaced; when it is the same, nothing is written.
func (s *Store) Put(ctx context.Context, name, contentType string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// Looked up each time: the bucket can have been deleted and made anew.
	objects, err := s.js.ObjectStore(ctx, s.bucket)
	if err != nil {
		return fmt.Errorf("open object store %s: %w", s.bucket, err)
	}
	sum := sha256.Sum256(data)
	digest := "SHA-256=" + base64.URLEncoding.EncodeToString(sum[:])
	have, err := objects.GetInfo(ctx, name)
	switch {
	case err == nil && have.Digest == digest && have.Headers.Get("Content-Type") == contentType:
		return nil
	case err != nil && !errors.Is(err, jetstream.ErrObjectNotFound):
		return fmt.Errorf("look up object %s in %s: %w", name, s.bucket, err)
	}
	meta := jetstream.ObjectMeta{Name: name, Headers: nats.Header{"Content-Type": {contentType}}}
	if _, err := objects.Put(ctx, meta, bytes.NewReader(data)); err != nil {
		return fmt.Errorf("store object %s in %s: %w", name, s.bucket, err)
	}
	return nil
}
