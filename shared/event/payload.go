package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A Payload is the data of one type of event. Validate says whether a decoded value holds what a service needs; it does
// not judge whether the work can be done.
type Payload interface {
	EventType() Type
	Validate() error
}

// UserCreatedData is the payload of [UserCreated].
type UserCreatedData struct {
	UserID   string `json:"user_id"`
	Email    string `json:"email"`
	Username string `json:"username"`
	Locale   string `json:"locale,omitempty"` // BCP 47
}

// EventType implements [Payload].
func (UserCreatedData) EventType() Type { return UserCreated }

// Validate implements [Payload].
func (d UserCreatedData) Validate() error {
	switch {
	case !ValidID(d.UserID):
		return fmt.Errorf("user_id %.80q is not %s", d.UserID, idForm)
	case d.Email == "":
		return errors.New("email is missing")
	case d.Username == "":
		return errors.New("username is missing")
	}
	return nil
}

// ImageRequestedData is the payload of [ImageRequested].
type ImageRequestedData struct {
	ImageURL   string      `json:"image_url"`
	Operations []Operation `json:"operations"`
}

// EventType implements [Payload].
func (ImageRequestedData) EventType() Type { return ImageRequested }

// Validate implements [Payload].
func (d ImageRequestedData) Validate() error {
	if d.ImageURL == "" {
		return errors.New("image_url is missing")
	}
	if len(d.Operations) == 0 {
		return errors.New("operations is empty")
	}
	return nil
}

// An Operation is one step of picture processing, in the order asked for: {"name": "resize", "width": 640}. A bare string
// is read as {"name": string}. Which names and options there are, and what is wrong with one, the imager says.
type Operation struct {
	Name    string
	Options json.RawMessage // the whole object, name included; nil without options
}

// MarshalJSON implements json.Marshaler.
func (o Operation) MarshalJSON() ([]byte, error) {
	if o.Options != nil {
		return o.Options, nil
	}
	return json.Marshal(struct {
		Name string `json:"name"`
	}{o.Name})
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *Operation) UnmarshalJSON(b []byte) error {
	var name string
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &name); err != nil {
			return err
		}
		if name == "" {
			return errors.New("an operation's name is empty")
		}
		*o = Operation{Name: name}
		return nil
	}
	var obj map[string]json.RawMessage
	if err := json.Unmarshal(b, &obj); err != nil || obj == nil {
		return errors.New(`an operation is a name or an object with a "name"`)
	}
	if err := json.Unmarshal(obj["name"], &name); err != nil || name == "" {
		return errors.New(`an operation's "name" is missing or not a string`)
	}
	*o = Operation{Name: name}
	if len(obj) > 1 {
		o.Options = append(json.RawMessage(nil), b...)
	}
	return nil
}

// TaskRequestedData is the payload of [TaskRequested]: the demo's pretended work.
type TaskRequestedData struct {
	DurationMS int64 `json:"duration_ms"` // how long the work takes, in milliseconds
}

// EventType implements [Payload].
func (TaskRequestedData) EventType() Type { return TaskRequested }

// Validate implements [Payload].
func (d TaskRequestedData) Validate() error {
	if d.DurationMS < 0 || d.DurationMS > time.Hour.Milliseconds() {
		return fmt.Errorf("duration_ms is %d, want 0 to 3600000", d.DurationMS)
	}
	return nil
}

// Duration is how long the work takes.
func (d TaskRequestedData) Duration() time.Duration {
	return time.Duration(d.DurationMS) * time.Millisecond
}

// JobFinishedData is the payload of [JobFinished].
type JobFinishedData struct {
	JobID       string         `json:"job_id"`
	Type        Type           `json:"type"`
	State       string         `json:"state"`
	Tasks       []FinishedTask `json:"tasks"`
	CallbackURL string         `json:"callback_url"`
}

// A FinishedTask is how one service's task of a finished job ended.
type FinishedTask struct {
	Service string          `json:"service"`
	State   State           `json:"state"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// EventType implements [Payload].
func (JobFinishedData) EventType() Type { return JobFinished }

// Validate implements [Payload].
func (d JobFinishedData) Validate() error {
	if !ValidID(d.JobID) {
		return fmt.Errorf("job_id %.80q is not %s", d.JobID, idForm)
	}
	if d.CallbackURL == "" {
		return errors.New("callback_url is missing")
	}
	return nil
}
