package web

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// A failure is why a request was answered with 500, kept with the request until its line is logged.
type failure struct {
	err   error
	stack []byte
}

type failureKey struct{}

// keepCause notes the cause; the first one stands.
func keepCause(c *fiber.Ctx, f failure) {
	if c.Locals(failureKey{}) == nil {
		c.Locals(failureKey{}, f)
	}
}

func keepPanic(c *fiber.Ctx, v any) {
	keepCause(c, failure{err: fmt.Errorf("panic: %v", v), stack: debug.Stack()})
}

// observe gives the request its id and logs it: one line each, at debug, since at full load a line costs more than the
// rest of the request; at error when the server has failed. A refusal (503, 507) is not a failure: whoever refuses logs
// that it began to, once.
func (s *Server) observe(c *fiber.Ctx) error {
	start := time.Now()
	id := requestID(c)
	c.Set(fiber.HeaderXRequestID, id)
	if err := c.Next(); err != nil {
		if err := s.fail(c, err); err != nil {
			return err
		}
	}
	if s.isDraining() {
		c.Response().SetConnectionClose()
	}

	level, status := slog.LevelDebug, c.Response().StatusCode()
	if status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	if !s.log.Enabled(c.UserContext(), level) {
		return nil
	}
	attrs := []slog.Attr{
		slog.String("request_id", id), slog.String("method", c.Method()), slog.String("path", c.Path()),
		slog.Int("status", status), slog.Duration("took", time.Since(start)), slog.String("client", c.Context().RemoteAddr().String()),
	}
	if f, ok := c.Locals(failureKey{}).(failure); ok {
		attrs = append(attrs, slog.Any("err", f.err))
		if f.stack != nil {
			attrs = append(attrs, slog.String("stack", string(f.stack)))
		}
	}
	s.log.LogAttrs(c.UserContext(), level, "request", attrs...)
	return nil
}

// requestID is the client's own id if it is harmless, else a new one.
func requestID(c *fiber.Ctx) string {
	if id := c.Get(fiber.HeaderXRequestID); validRequestID(id) {
		return id
	}
	id, err := uuid.NewV7()
	if err != nil { // no randomness: an id is not worth a failed request
		return "-"
	}
	return id.String()
}

func validRequestID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// guardBody refuses bodies that would be guessed at: without a type, huma takes them as JSON; with an encoding, Fiber
// would unpack them without any limit.
func guardBody(c *fiber.Ctx) error {
	if len(c.Request().Body()) == 0 {
		return c.Next()
	}
	for _, encoding := range c.Request().Header.PeekAll(fiber.HeaderContentEncoding) {
		if !bytes.EqualFold(encoding, []byte("identity")) {
			c.Set(fiber.HeaderAcceptEncoding, "identity")
			return fiber.NewError(http.StatusUnsupportedMediaType, "The body must be sent without a Content-Encoding.")
		}
	}
	if len(c.Request().Header.ContentType()) == 0 {
		return fiber.NewError(http.StatusUnsupportedMediaType, "A body needs a Content-Type: application/json.")
	}
	return c.Next()
}

// refuseUnknownMethods answers methods that HTTP does not define, which Fiber would answer itself, with plain text.
func refuseUnknownMethods(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Method()) {
		case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodConnect,
			http.MethodOptions, http.MethodTrace, http.MethodPatch:
			next(ctx)
		default:
			ctx.SetStatusCode(http.StatusNotImplemented)
			ctx.SetContentType(problemType)
			ctx.SetBodyString(`{"type":"about:blank","title":"Not Implemented","status":501,"detail":"HTTP does not define this method."}`)
		}
	}
}
