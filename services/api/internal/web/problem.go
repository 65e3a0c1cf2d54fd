package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
)

const problemType = "application/problem+json"

// internalDetail is all that a client is told of a failure of ours: the cause may hold anything.
const internalDetail = "The server has failed. The request's id leads to the cause in its log."

// maxEcho bounds a value that a problem repeats to the client, in bytes.
const maxEcho = 100

// explain gives the answer for an error of the ports; what it does not know is a failure of ours.
func explain(err error) error {
	var unavailable *accept.UnavailableError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, user.ErrTaken):
		return huma.Error409Conflict("This e-mail address is already registered.")
	case errors.Is(err, accept.ErrKeyReused):
		return huma.Error422UnprocessableEntity("", keyError("the key was used for another request"))
	case errors.Is(err, accept.ErrInFlight):
		return withRetry(huma.Error409Conflict("The same request, or another one with its Idempotency-Key, is under way."), time.Second)
	case errors.Is(err, accept.ErrNothingDead):
		return huma.Error409Conflict("No task of this job is dead or cancelled: there is nothing to do again.")
	case errors.Is(err, user.ErrNotFound):
		return huma.Error404NotFound("There is no such user.")
	case errors.Is(err, job.ErrNotFound):
		return huma.Error404NotFound("There is no such job, or it has been removed since it ended.")
	case errors.Is(err, job.ErrEnded):
		return huma.Error409Conflict("The job has ended: there is nothing left to cancel.")
	case errors.Is(err, ErrNoService):
		return huma.Error404NotFound("There is no such service.")
	case errors.Is(err, accept.ErrTooLarge):
		return huma.Error413RequestEntityTooLarge("The event that this request makes is too large.")
	case errors.Is(err, accept.ErrNoSpace):
		return huma.NewError(http.StatusInsufficientStorage, "There is no space left to keep this request. Nothing was accepted.")
	case errors.As(err, &unavailable):
		return retryLater("Not possible for now: "+unavailable.Reason+".", unavailable.RetryAfter)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return retryLater("The server was too busy to answer in time.", time.Second)
	}
	return err
}

// retryLater is a 503 with a Retry-After of at least a second.
func retryLater(detail string, after time.Duration) error {
	return withRetry(huma.Error503ServiceUnavailable(detail), after)
}

func withRetry(err error, after time.Duration) error {
	seconds := max(1, int(math.Ceil(after.Seconds())))
	return huma.ErrorWithHeaders(err, http.Header{"Retry-After": {strconv.Itoa(seconds)}})
}

// finish completes every problem that huma writes. It is a transformer of our API, because huma's own hook for errors is a
// package variable.
func finish(ctx huma.Context, _ string, v any) (any, error) {
	p, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	c := humafiber.Unwrap(ctx)
	if p.Status == http.StatusInternalServerError {
		keepCause(c, failure{err: fmt.Errorf("%s: %s", p.Detail, messages(p.Errors))})
		return newProblem(c, p.Status, internalDetail), nil
	}
	detail := p.Detail
	switch p.Status {
	case http.StatusBadRequest:
		detail = "The body is missing or not valid JSON."
	case http.StatusUnsupportedMediaType:
		detail = "The body must be application/json."
	case http.StatusUnprocessableEntity:
		detail = "The request is well-formed, but its values are not: see errors."
	}
	out := newProblem(c, p.Status, detail)
	for _, e := range p.Errors {
		out.Errors = append(out.Errors, &huma.ErrorDetail{Message: e.Message, Location: e.Location, Value: echo(e)})
	}
	return out, nil
}

// echo is the refused value, if it is a short scalar; never an object or the body as a whole.
func echo(e *huma.ErrorDetail) any {
	switch v := e.Value.(type) {
	case string:
		if e.Location != "body" && len(v) <= maxEcho {
			return v
		}
	case bool, float64, int64:
		return v
	}
	return nil
}

func messages(details []*huma.ErrorDetail) string {
	var text string
	for i, d := range details {
		if i > 0 {
			text += "; "
		}
		text += d.Message
	}
	return text
}

// fail is the app's error handler: it writes a problem for what never reached an operation, and for panics.
func (s *Server) fail(c *fiber.Ctx, err error) error {
	status := http.StatusInternalServerError
	var fe *fiber.Error
	if errors.As(err, &fe) {
		status = fe.Code
	}
	var detail string
	switch status {
	case http.StatusBadRequest:
		detail = "The request could not be read as HTTP."
	case http.StatusNotFound:
		detail = "There is nothing at this path. GET /docs shows what there is."
	case http.StatusMethodNotAllowed:
		detail = "This path does not know the method. The Allow header lists those that it does."
	case http.StatusRequestEntityTooLarge:
		detail = fmt.Sprintf("The body is larger than %d bytes.", bodyLimit)
	case http.StatusUnsupportedMediaType:
		detail = fe.Message
	case http.StatusRequestHeaderFieldsTooLarge:
		detail = fmt.Sprintf("The request's line and header fields are larger than %d bytes.", readBuffer)
	case http.StatusRequestTimeout:
		detail = "The request did not arrive in time."
	case http.StatusInternalServerError:
		detail = internalDetail
		keepCause(c, failure{err: err})
	}
	return writeProblem(c, newProblem(c, status, detail))
}

func newProblem(c *fiber.Ctx, status int, detail string) *huma.ErrorModel {
	return &huma.ErrorModel{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail,
		Instance: cut(c.Path(), 2*maxEcho),
	}
}

func writeProblem(c *fiber.Ctx, p *huma.ErrorModel) error {
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode problem: %w", err)
	}
	c.Response().ResetBody() // of an answer that was cut short by a panic
	for _, h := range []string{fiber.HeaderLocation, fiber.HeaderETag, fiber.HeaderLink, fiber.HeaderContentEncoding} {
		c.Response().Header.Del(h)
	}
	c.Set(fiber.HeaderContentType, problemType)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff") // the middleware does not run for what could not be read
	return c.Status(p.Status).Send(b)
}

func cut(s string, limit int) string {
	if len(s) > limit {
		return s[:limit]
	}
	return s
}
