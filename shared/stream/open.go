package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// codeWrongLastSequence is the server's answer when somebody else has written meanwhile.
const codeWrongLastSequence = 10071

// Open writes [OpenKey] to a service's bucket, unless it is there: from now on claims are made in it. The header is padded as every
// record's is, so that the key can be written again, at a higher revision, when the bucket is full.
func Open(ctx context.Context, js jetstream.JetStream, service string) error {
	s, err := js.Stream(ctx, BucketStream(Bucket(service)))
	if err != nil {
		return err
	}
	m, err := s.GetLastMsgForSubject(ctx, RecordSubject(service, OpenKey))
	revision := uint64(0)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
	case err != nil:
		return err
	case m.Header.Get("KV-Operation") == "" && m.Header.Get(jetstream.MarkerReasonHeader) == "":
		return nil
	default:
		revision = m.Sequence
	}
	open := nats.NewMsg(RecordSubject(service, OpenKey))
	open.Data = []byte("1")
	open.Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprintf("%020d", revision))
	// No retries: the second try would be refused for the first one's success.
	_, err = js.PublishMsg(ctx, open, jetstream.WithRetryAttempts(0))
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeWrongLastSequence {
		return nil // another has opened it
	}
	return err
}
