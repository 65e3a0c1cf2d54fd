package event

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Type names what happened, and so which payload an event carries. It is also the literal subject it is published on.
type Type string

// The types of event there are.
const (
	UserCreated    Type = "user.created"
	ImageRequested Type = "image.requested"
	TaskRequested  Type = "task.requested"
	JobFinished    Type = "job.finished"
)

// ContentType is the media type of an encoded [Envelope] (CloudEvents 1.0, JSON event format, structured mode).
const ContentType = "application/cloudevents+json"

// SpecVersion is the CloudEvents version of every event.
const SpecVersion = "1.0"

// DataVersion is the major version of every payload. What a newer minor version adds is ignored.
const DataVersion = 1

// Bounds of what travels. An event that would be larger is refused at the accept; an error text is cut; a result that
// is larger is a permanent error of its task.
const (
	MaxEvent  = 256 << 10
	MaxError  = 1 << 10
	MaxResult = 64 << 10
)

// An Envelope is one event: the CloudEvents context attributes, Handoff's extensions and the payload still encoded.
// Its JSON form is what streams hold.
type Envelope struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`     // the job's id: one event in a job's life
	Source          string    `json:"source"` // who accepted it, "handoff/api" unless made by hand
	Type            Type      `json:"type"`
	Time            time.Time `json:"time"` // when it was accepted
	DataContentType string    `json:"datacontenttype,omitempty"`
	DataVersion     string    `json:"dataversion,omitempty"` // of the payload, "major" or "major.minor"; empty is 1

	// Tasks are the services asked for, joined by commas, frozen at the accept. Empty: whoever the type is for by default.
	Tasks           string     `json:"tasks,omitempty"`
	Tenant          string     `json:"tenant,omitempty"`
	Due             *time.Time `json:"due,omitempty"`      // not to be done before
	NotAfter        *time.Time `json:"notafter,omitempty"` // not to be begun after
	CallbackURL     string     `json:"callbackurl,omitempty"`
	IdempotencyHash string     `json:"idempotencyhash,omitempty"`
	BodyHash        string     `json:"bodyhash,omitempty"`
	Schedule        string     `json:"schedule,omitempty"`
	TraceParent     string     `json:"traceparent,omitempty"` // W3C Trace Context

	Data json.RawMessage `json:"data"`
}

// Services lists the services that the event asks for by name; nil when it leaves that to the table for its type.
func (e *Envelope) Services() []string {
	if e.Tasks == "" {
		return nil
	}
	return strings.Split(e.Tasks, ",")
}

// ErrUndecodable is what every error of [Decode] and [DecodeData] wraps: no retry will make the bytes readable.
var ErrUndecodable = errors.New("undecodable event")

// Decode reads one event. Attributes and payload fields that it does not know are ignored. The error wraps
// [ErrUndecodable] and says what is wrong.
func Decode(b []byte) (*Envelope, error) {
	var e Envelope
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one JSON value", ErrUndecodable)
	}
	switch {
	case e.SpecVersion != SpecVersion:
		return nil, fmt.Errorf("%w: specversion is %q, want %q", ErrUndecodable, e.SpecVersion, SpecVersion)
	case !ValidID(e.ID):
		return nil, fmt.Errorf("%w: id %.80q is not %s", ErrUndecodable, e.ID, idForm)
	case e.Source == "":
		return nil, fmt.Errorf("%w: source is missing", ErrUndecodable)
	case !ValidType(e.Type):
		return nil, fmt.Errorf("%w: type %.80q is not one of ours", ErrUndecodable, string(e.Type))
	case len(e.Data) == 0 || string(e.Data) == "null":
		return nil, fmt.Errorf("%w: data is missing", ErrUndecodable)
	}
	services := e.Services()
	seen := make(map[string]bool, len(services))
	for _, s := range services {
		if !ValidService(s) {
			return nil, fmt.Errorf("%w: tasks %.80q is not a list of service names", ErrUndecodable, e.Tasks)
		}
		if seen[s] {
			return nil, fmt.Errorf("%w: tasks names %s twice", ErrUndecodable, s)
		}
		seen[s] = true
	}
	return &e, nil
}

// DecodeData reads the payload of e as P. The error wraps [ErrUndecodable], for a later major version of it too.
func DecodeData[P Payload](e *Envelope) (P, error) {
	var p P
	if want := p.EventType(); e.Type != want {
		return p, fmt.Errorf("%w: type is %s, want %s", ErrUndecodable, e.Type, want)
	}
	if v := cmp.Or(e.DataVersion, "1"); !knownVersion(v) {
		return p, fmt.Errorf("%w: dataversion is %.20q, and %d is known here", ErrUndecodable, v, DataVersion)
	}
	if err := json.Unmarshal(e.Data, &p); err != nil {
		return p, fmt.Errorf("%w: data: %w", ErrUndecodable, err)
	}
	if err := p.Validate(); err != nil {
		return p, fmt.Errorf("%w: data: %w", ErrUndecodable, err)
	}
	return p, nil
}

func knownVersion(v string) bool {
	major, _, _ := strings.Cut(v, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n == DataVersion
}

// New makes the event of a job: id is the job's, at is when it was accepted, services are whom it asks for.
func New[P Payload](id string, at time.Time, p P, services ...string) (*Envelope, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode %s data: %w", p.EventType(), err)
	}
	return &Envelope{
		SpecVersion: SpecVersion, ID: id, Source: "handoff/api", Type: p.EventType(), Time: at.UTC(),
		DataContentType: "application/json", Tasks: strings.Join(services, ","), Data: data,
	}, nil
}

// Encode gives the bytes of e as they are stored and published.
func (e *Envelope) Encode() ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	return b, nil
}

// ValidType reports whether t is one of the types of this package.
func ValidType(t Type) bool {
	switch t {
	case UserCreated, ImageRequested, TaskRequested, JobFinished:
		return true
	}
	return false
}

// ValidID reports whether s can be a job's id: 1 to 64 of A-Z a-z 0-9 _ and -, with no _ in front, where a bucket has keys
// that belong to no job. Such an id can be a NATS subject token and a key of a bucket.
func ValidID(s string) bool { return validName(s, 64, true) && s[0] != '_' }

// idForm is what [ValidID] asks for, in an error.
const idForm = "1 to 64 of A-Z a-z 0-9 _ -, with no _ in front"

// ValidService reports whether s can be a service's name: 1 to 32 of a-z 0-9 _ and -.
func ValidService(s string) bool { return validName(s, 32, false) }

func validName(s string, limit int, upper bool) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c == '-', upper && c >= 'A' && c <= 'Z':
		default:
			return false
		}
	}
	return true
}

// An Event is what a service's handler gets: the envelope, its payload decoded, and who is asked.
type Event[P Payload] struct {
	Envelope
	Service string // the service whose task this is
	Attempt int    // 1 for the first
	Data    P
}

// Key names the effect for the far side (an Idempotency-Key, a Message-ID, a file's name): the same for every attempt
// and every redrive of this service's task of this job.
func (e *Event[P]) Key() string { return Key(e.ID, e.Service) }

// Key is the key of a service's task of a job; see [Event.Key].
func Key(job, service string) string { return job + "." + service }
