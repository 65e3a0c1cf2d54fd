package web

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handoff/services/api/internal/accept"
)

// maxDelay is how far ahead a job may be asked for.
const maxDelay = 365 * 24 * time.Hour

// Timing is embedded in the body of a request that makes a job: it says when the job may be done. It is exported only because huma
// passes over embedded types that are not.
type Timing struct {
	Delay    *spanField   `json:"delay,omitempty" doc:"Do it so much later, and not before: seconds, or a duration such as 90s, 10m, 1h30m; at most 8760h" example:"\"10m\""`
	RunAt    *time.Time   `json:"run_at,omitempty" doc:"Do it at this time, and not before; a time that has passed is now. Instead of delay; at most 365 days ahead" example:"2026-03-01T12:00:00Z"`
	Deadline *momentField `json:"deadline,omitempty" doc:"What has not been begun by then is not done any more: the job ends as dead. A time, or a duration from now on as for delay" example:"\"1h\""`

	options []accept.Option
}

// A spanField is a length of time as it was sent: seconds, or a duration.
type spanField struct{ raw json.RawMessage }

// UnmarshalJSON implements json.Unmarshaler. What is wrong with it is said when it is read, in its place.
func (f *spanField) UnmarshalJSON(b []byte) error {
	f.raw = append(json.RawMessage(nil), b...)
	return nil
}

func oneOf(description string, schemas ...*huma.Schema) *huma.Schema {
	return &huma.Schema{Description: description, Extensions: map[string]any{"oneOf": schemas}}
}

// Schema implements huma.SchemaProvider; the alternatives are only written into the document, as for [operationField].
func (spanField) Schema(huma.Registry) *huma.Schema {
	return oneOf("Seconds, or a duration.", &huma.Schema{Type: huma.TypeNumber}, &huma.Schema{Type: huma.TypeString})
}

// A momentField is a point in time as it was sent: a time, or how long from now.
type momentField struct{ spanField }

// Schema implements huma.SchemaProvider.
func (momentField) Schema(huma.Registry) *huma.Schema {
	return oneOf("A time, seconds from now, or a duration from now.",
		&huma.Schema{Type: huma.TypeString, Format: "date-time"}, &huma.Schema{Type: huma.TypeNumber}, &huma.Schema{Type: huma.TypeString})
}

var errSpan = errors.New("neither a number of seconds nor a duration such as 90s, 10m, 1h30m, up to 8760h")

func (f *spanField) span() (time.Duration, error) {
	text := strings.Trim(string(f.raw), `"`)
	d, err := time.ParseDuration(text)
	if seconds, serr := strconv.ParseFloat(text, 64); serr == nil {
		if !(seconds >= 0 && seconds <= maxDelay.Seconds()) { // a number that is none is neither
			return 0, errSpan
		}
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d < 0 || d > maxDelay {
		return 0, errSpan
	}
	return d, nil
}

func (f *momentField) moment(now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, strings.Trim(string(f.raw), `"`)); err == nil {
		return t, nil
	}
	d, err := f.span()
	if err != nil {
		return now, errors.New("neither a time such as 2026-03-01T12:00:00Z, nor seconds or a duration from now")
	}
	return now.Add(d), nil
}

// check reads when a job may be done, and says what is wrong with that; at is the path of the body.
func (t *Timing) check(at *huma.PathBuffer, now time.Time) (errs []error) {
	refuse := func(field, message string, value any) {
		errs = append(errs, &huma.ErrorDetail{Message: message, Location: at.With(field), Value: value})
	}
	begin := now
	switch {
	case t.Delay != nil && t.RunAt != nil:
		refuse("run_at", "there is a delay, too: only one of them can be", nil)
	case t.RunAt != nil && t.RunAt.Sub(now) > maxDelay:
		refuse("run_at", "more than 365 days ahead", t.RunAt.Format(time.RFC3339))
	case t.RunAt != nil && t.RunAt.After(now):
		begin = *t.RunAt
	case t.Delay != nil:
		d, err := t.Delay.span()
		if err != nil {
			refuse("delay", err.Error(), scalar(t.Delay.raw))
		}
		begin = now.Add(d)
	}
	if begin.After(now) {
		t.options = append(t.options, accept.RunAt(begin))
	}
	if t.Deadline == nil {
		return errs
	}
	end, err := t.Deadline.moment(now)
	switch {
	case err != nil:
		refuse("deadline", err.Error(), scalar(t.Deadline.raw))
	case !end.After(begin):
		refuse("deadline", "not after the time at which it may be begun", scalar(t.Deadline.raw))
	default:
		t.options = append(t.options, accept.NotAfter(end))
	}
	return errs
}
