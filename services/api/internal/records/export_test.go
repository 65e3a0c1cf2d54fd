package records

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// NewFastWriter makes a writer that waits for little.
func NewFastWriter(store Store, facts *Reader, js jetstream.JetStream, log *slog.Logger) *Writer {
	return newWriter(timing{linger: 20 * time.Millisecond, look: 50 * time.Millisecond, sync: 50 * time.Millisecond}, store, facts, js, log)
}
