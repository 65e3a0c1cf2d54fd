package stream

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Control is a small bucket for what the apis of one store have to tell each other. It may be lost.
const Control = "CONTROL"

// LeaseKey is the key in [Control] under which an api holds the store.
const LeaseKey = "lease"

// controlLimit is room enough for the few keys there are.
const controlLimit = 256 << 10

// EnsureControl makes the bucket [Control] if it is missing, and nothing else: an api has to hold the store before it makes the rest.
func EnsureControl(ctx context.Context, js jetstream.JetStream, cfg Config) error {
	return ensureStreams(ctx, js, cfg, []part{control()})
}

// control makes the stream a key-value bucket, as the jetstream package does.
func control() part {
	return part{"bucket " + Control, BucketStream(Control), func(s *jetstream.StreamConfig) {
		s.Description, s.Subjects = "which api holds the store", []string{"$KV." + Control + ".>"}
		s.Discard, s.MaxBytes, s.MaxAge = jetstream.DiscardNew, controlLimit, 0
		s.MaxMsgs, s.MaxMsgsPerSubject, s.MaxMsgSize = -1, 1, -1
		s.AllowRollup, s.DenyDelete, s.AllowDirect = true, true, true
		s.Duplicates = duplicateWindow
	}}
}

// metadataStore is the key of the store's id in the metadata of streams.
const metadataStore = "handoff-store"

// A ForeignError says that a stream belongs to another store.
type ForeignError struct {
	What  string // such as stream USERS
	Owner string // the store that it belongs to
	Ours  string // the store that was to have it
}

// Error implements error.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s belongs to the store %s, not to %s", e.What, e.Owner, e.Ours)
}

// Owner gives the id of the store that the streams belong to, empty when they say nothing or there are none. The error is a
// [ForeignError] when they don't agree.
func Owner(ctx context.Context, js jetstream.JetStream) (string, error) {
	ours := map[string]string{}
	for _, p := range everything(Config{}) {
		ours[p.stream] = p.what
	}
	owner := ""
	var foreign *ForeignError
	list := js.ListStreams(ctx)
	for info := range list.Info() {
		what, id := ours[info.Config.Name], info.Config.Metadata[metadataStore]
		switch {
		case what == "" || id == "" || id == owner:
		case owner == "":
			owner = id
		default:
			foreign = &ForeignError{What: what, Owner: id, Ours: owner}
		}
	}
	if err := list.Err(); err != nil {
		return "", fmt.Errorf("ask whom the streams belong to: %w", err)
	}
	if foreign != nil {
		return "", foreign
	}
	return owner, nil
}
