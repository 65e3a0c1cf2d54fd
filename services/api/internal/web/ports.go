package web

import (
	"context"
	"errors"
	"io"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/redrive"
	"handoff/services/api/internal/user"
	"handoff/shared/event"
)

// An Accepter keeps what was asked for; once it has returned nil, the work will be done.
//
// Refusals that a client can act on are user.ErrTaken and accept.ErrInFlight (409), accept.ErrTooLarge (413), accept.ErrKeyReused (422),
// *accept.UnavailableError (503) and accept.ErrNoSpace (507). Any other error is answered with 500 and logged.
//
// The same request with the same key, unless that is zero, is kept once: what it made is returned again.
type Accepter interface {
	// Register keeps a new user and the job that welcomes them; notify asks for the notifier's task too.
	Register(ctx context.Context, key accept.Key, email, username string, notify bool, options ...accept.Option) (user.User, error)
	// Request keeps a job of the payload's type.
	Request(ctx context.Context, key accept.Key, p event.Payload, options ...accept.Option) (*job.Job, error)
	// Retry has the dead and cancelled tasks of a job done again. accept.ErrNothingDead (409) says that there are none.
	Retry(ctx context.Context, key accept.Key, jobID string) error
}

// A Redriver has those dead tasks done again that are selected, of at most limit jobs.
type Redriver interface {
	Redrive(ctx context.Context, which *job.Dead, limit int) (redrive.Counts, error)
	// Count tells what Redrive would do.
	Count(ctx context.Context, which *job.Dead, limit int) (redrive.Counts, error)
}

// A Canceller takes back what has not ended of a job; it refuses with job.ErrNotFound (404), job.ErrEnded (409), and as an [Accepter].
type Canceller interface {
	Cancel(ctx context.Context, id string) (*job.Job, error)
}

// A Reader looks things up in the store.
//
// Lists begin behind the item that after names, at the beginning when it is empty; user.ErrNotFound or job.ErrNotFound
// says that there is no such item (any more). What it returns is not changed afterwards.
type Reader interface {
	User(id string) (user.User, error)
	Users(after string, limit int) ([]user.User, error) // oldest first
	Job(id string) (*job.Job, error)
	Jobs(q job.Query) ([]*job.Job, error) // newest first
	Event(j *job.Job) ([]byte, error)     // as it was published
}

// A Waiter waits for the end of jobs.
type Waiter interface {
	// Wait returns the job when it has ended, or as it stands when ctx is done: that is no error.
	Wait(ctx context.Context, id string) (*job.Job, error)
}

// Pictures gives the results of picture jobs.
type Pictures interface {
	// Open gives the picture that the job has made, or [ErrNoPicture], or an *accept.UnavailableError while it cannot be had.
	// The caller closes its body; ctx lasts until then.
	Open(ctx context.Context, jobID string) (Picture, error)
}

// ErrNoPicture is returned by [Pictures] for a picture that is not kept any more.
var ErrNoPicture = errors.New("picture is gone")

// A Picture is a result that is about to be sent.
type Picture struct {
	Body        io.ReadCloser
	Size        int64
	ContentType string
	Digest      string // names the bytes: equal digests, equal pictures; becomes the ETag
}

// The states of [Health].
const (
	Healthy  = "ok"
	Degraded = "degraded" // works, but something needs a look; Reasons say what
	Starting = "starting" // does not take requests yet
)

// Health is the report at /health: for people and dashboards. Whether requests should be sent here says /readyz.
type Health struct {
	Status  string         `json:"status" enum:"ok,degraded,starting" doc:"ok, degraded or starting"`
	Reasons []string       `json:"reasons" nullable:"false" doc:"What keeps it from being ok, in words"`
	NATS    NATSHealth     `json:"nats" doc:"The connection to NATS"`
	Store   StoreHealth    `json:"store" doc:"The api's own store, api.db"`
	Streams []StreamHealth `json:"streams" nullable:"false" doc:"Streams and buckets in NATS, with their fill"`
}

// NATSHealth is how the connection to NATS stands.
type NATSHealth struct {
	Connected bool   `json:"connected" doc:"Whether there is a connection now"`
	URL       string `json:"url,omitempty" doc:"The server connected to, without credentials" example:"nats://127.0.0.1:4222"`
	RTT       string `json:"rtt,omitempty" doc:"Time of a round trip" example:"412µs"`
}

// StoreHealth is how full the api's own store is.
type StoreHealth struct {
	Bytes     int64 `json:"bytes" doc:"Size of the file"`
	Users     int64 `json:"users" doc:"Users known"`
	Jobs      int64 `json:"jobs" doc:"Jobs kept"`
	Unrelayed int64 `json:"unrelayed" doc:"Accepts that NATS has not been told of yet"`
}

// StreamHealth is how full a stream or a bucket is.
type StreamHealth struct {
	Name     string `json:"name" example:"USERS"`
	Messages uint64 `json:"messages" doc:"Messages, or records of a bucket"`
	Bytes    uint64 `json:"bytes"`
	MaxBytes int64  `json:"max_bytes" doc:"Its limit"`
	HeldUpBy string `json:"held_up_by,omitempty" doc:"What keeps accepts from being handed to it, when something does"`
}
