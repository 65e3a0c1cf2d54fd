package mail

import (
	"context"
	"errors"
)

// ErrRefused is wrapped by errors that no further attempt can cure: a malformed address, a mailbox that does not exist.
var ErrRefused = errors.New("refused for good")

// A Sender delivers messages. It is safe for concurrent use. What it does with a message that it has already got is the
// same thing again, under the same Message-ID.
type Sender interface {
	// Send delivers m before ctx ends. Once it has returned nil the message is kept by whoever the receipt names.
	Send(ctx context.Context, m *Message) (Receipt, error)
	// Simulated reports whether messages stay on this machine instead of reaching their recipients.
	Simulated() bool
}

// A Receipt says where a message has gone.
type Receipt struct {
	Driver string `json:"driver"`
	File   string `json:"file,omitempty"`   // relative to DATA_DIR, with slashes
	Server string `json:"server,omitempty"` // host:port
}
