package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A State is where a task stands. Records hold running and later; queued is a task without a record.
type State string

// The states of a task.
const (
	Queued    State = "queued"
	Running   State = "running"
	Retrying  State = "retrying"
	Succeeded State = "succeeded"
	Dead      State = "dead"
	Cancelled State = "cancelled"
)

// Ended reports whether s is final within a generation.
func (s State) Ended() bool { return s == Succeeded || s == Dead || s == Cancelled }

// A Record is what a service says about its task of one job: the value under the job's id in the service's bucket. Only
// whoever holds the claim writes it, by compare-and-set on the revision that it read.
type Record struct {
	State       State           `json:"state"`
	Generation  int             `json:"generation,omitempty"` // raised by each redrive, never falls
	Claim       int             `json:"claim,omitempty"`      // how often the task was claimed
	Attempt     int             `json:"attempt,omitempty"`
	Holder      string          `json:"holder,omitempty"`   // random token of the claim
	Released    bool            `json:"released,omitempty"` // given back at a shutdown: the next claim adds no attempt
	Due         *time.Time      `json:"due,omitempty"`      // when a retrying task may be claimed
	Progress    *Progress       `json:"progress,omitempty"`
	Result      json.RawMessage `json:"result,omitempty"`
	Error       string          `json:"error,omitempty"` // the last one
	Started     *time.Time      `json:"started,omitempty"`
	Ended       *time.Time      `json:"ended,omitempty"`
	TraceParent string          `json:"traceparent,omitempty"`
	Steps       []Step          `json:"steps,omitempty"` // the last [MaxSteps]
}

// A Cancel tells a service that its task of a job has been cancelled. It is a hint to look at the record.
type Cancel struct {
	Job string `json:"job"`
}

// Progress is how far a running task says it is.
type Progress struct {
	Percent float64 `json:"percent"` // 0 to 100
	Note    string  `json:"note,omitempty"`
}

// A Step is one change of a task's state.
type Step struct {
	Attempt int       `json:"attempt"`
	State   State     `json:"state"`
	At      time.Time `json:"at"`
	Error   string    `json:"error,omitempty"`
}

// MaxSteps is how many steps a record keeps: the latest.
const MaxSteps = 16

// maxStepError keeps 16 failures within a few kilobytes; the last error is in Record.Error, whole.
const maxStepError = 200

// AddStep notes that the task has come to r.State in r.Attempt at the given time.
func (r *Record) AddStep(at time.Time, errText string) {
	steps := r.Steps
	if len(steps) >= MaxSteps {
		steps = steps[len(steps)-MaxSteps+1:]
	}
	// A fresh slice: the record may share its steps with one that is still being written.
	r.Steps = append(append(make([]Step, 0, len(steps)+1), steps...),
		Step{Attempt: r.Attempt, State: r.State, At: at.UTC(), Error: Cut(errText, maxStepError)})
}

// DecodeRecord reads a task record.
func DecodeRecord(b []byte) (*Record, error) {
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("decode task record: %w", err)
	}
	switch r.State {
	case Running, Retrying, Succeeded, Dead, Cancelled:
		return &r, nil
	}
	return nil, fmt.Errorf("decode task record: state %.40q is not one of ours", string(r.State))
}

// Encode gives the bytes of r as they are stored.
func (r *Record) Encode() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode task record: %w", err)
	}
	return b, nil
}

// Cut shortens s to at most n bytes of valid UTF-8 and says so by an ellipsis, if n leaves room for one.
func Cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	ellipsis := "…"
	if n < len(ellipsis) {
		ellipsis = ""
	}
	end := max(0, n-len(ellipsis))
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}
