package worker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"strings"
)

type traceKey struct{}

// Tracing gives each attempt a span of its own in the event's trace ([W3C Trace Context]), or in a new trace when the event has
// none. [TraceParent] gives it to whoever asks a far side; [Logging] adds it to its lines. It exports nothing and needs no library:
// one that does both is a middleware of the same shape around t.TraceParent.
//
// [W3C Trace Context]: https://www.w3.org/TR/trace-context/
func Tracing() Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, t *Task) (json.RawMessage, error) {
			return next(context.WithValue(ctx, traceKey{}, childOf(t.TraceParent)), t)
		}
	}
}

// TraceParent is the header traceparent for requests that belong to the attempt whose context ctx is; empty without [Tracing].
func TraceParent(ctx context.Context) string {
	s, _ := ctx.Value(traceKey{}).(string)
	return s
}

// childOf gives a new span in the trace of parent. A parent that is none begins a new trace, which nobody has decided to record.
func childOf(parent string) string {
	trace, flags := randomHex(16), "00"
	if id, f, ok := parseTraceParent(parent); ok {
		trace, flags = id, f
	}
	return "00-" + trace + "-" + randomHex(8) + "-" + flags
}

// parseTraceParent reads trace id and flags. A version above 00 may have more at its end.
func parseTraceParent(s string) (trace, flags string, ok bool) {
	if len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return "", "", false
	}
	version, trace, span, flags := s[:2], s[3:35], s[36:52], s[53:55]
	for _, part := range []string{version, trace, span, flags} {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return "", "", false
		}
	}
	switch {
	case version == "ff", version == "00" && len(s) != 55, len(s) > 55 && s[55] != '-':
		return "", "", false
	case strings.Trim(trace, "0") == "", strings.Trim(span, "0") == "":
		return "", "", false
	}
	return trace, flags, true
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
