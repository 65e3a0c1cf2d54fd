package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// maxRetryAfter bounds what a far side can ask for.
const maxRetryAfter = time.Hour

// judge says what is wrong with an answer's head: nil for a body that is worth reading. The error is an [*Error] still
// without its URL.
func judge(res *http.Response, now time.Time) error {
	status := fmt.Sprintf("answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	after := retryAfter(res.Header.Get("Retry-After"), now)
	switch code := res.StatusCode; {
	case code == http.StatusOK || code == http.StatusNonAuthoritativeInfo:
	case code == http.StatusTooManyRequests:
		return &Error{Code: RateLimited, Message: status + ": too many requests; it is tried again later", RetryAfter: after}
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly:
		return &Error{Code: TimedOut, Message: status + "; it is tried again later", RetryAfter: after}
	case code >= 500:
		return &Error{Code: ServerError, Message: status + "; it is tried again later", RetryAfter: after}
	case code == http.StatusNotFound || code == http.StatusGone:
		return &Error{Code: NotFound, Message: status + "; check the address"}
	case code >= 400:
		return &Error{Code: Refused, Message: status + "; check that the picture can be had without a login"}
	default:
		return &Error{Code: BadAnswer, Message: status + "; give the address of the picture itself"}
	}
	if e := res.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return &Error{Code: BadAnswer, Message: fmt.Sprintf("answered with a body in %.20q that nobody asked for; serve the picture as it is", e)}
	}
	return nil
}

// retryAfter reads the header in both its forms, seconds and date.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter) //nolint:gosec // 32 bits of seconds fit
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// explain makes an [*Error] of whatever has kept u from being fetched.
func (c *Client) explain(u *url.URL, err error) *Error {
	e := &Error{URL: redact(u), Err: err}
	var known *Error
	var resolving *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &known):
		known.URL = e.URL
		return known
	case errors.Is(err, errBlocked):
		e.Code = BlockedURL
		_, e.Message, _ = strings.Cut(err.Error(), errBlocked.Error()+": ")
	case forbidden(err):
		e.Code, e.Message = BlockedURL, "is not fetched: it leads to an address that is not on the public internet; the operator can list its host:port in IMAGE_ALLOW"
	case errors.Is(err, errTooManyRedirects):
		e.Code, e.Message = TooManyRedirects, fmt.Sprintf("redirects more than %d times; give the address of the picture itself", maxRedirects)
	case errors.Is(err, errTooLarge):
		e.Code, e.Message = TooLarge, fmt.Sprintf("has more than %d bytes; send a smaller picture", c.maxBytes)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		e.Code, e.Message = TimedOut, "took too long to answer; it is tried again later"
	case errors.As(err, &resolving):
		e.Code, e.Message = Unreachable, "can't be resolved; check the host's name"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Code, e.Message = Unreachable, "refused the connection; is anything listening there?"
	case errors.As(err, &certificate):
		e.Code, e.Message = Unreachable, "has a TLS certificate that can't be verified: "+certificate.Err.Error()
	default:
		e.Code, e.Message = Unreachable, "broke the connection off or does not speak HTTP; it is tried again later"
	}
	return e
}

// forbidden reports whether the guard's hook has refused the dialled address.
func forbidden(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedPort) ||
		errors.Is(err, ssrf.ErrProhibitedNetwork) || errors.Is(err, ssrf.ErrInvalidHostPort)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
