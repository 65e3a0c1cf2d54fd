package fetch

import (
	"net/url"
	"time"
)

// A Code says why a picture was not fetched. Codes lead the error text of a task.
type Code string

// The codes there are. The first six are final.
const (
	// BlockedURL is an address that is not fetched from: not http or https, or not on the public internet.
	BlockedURL Code = "blocked_url"
	// NotFound is an answer of 404 or 410: there is no picture.
	NotFound Code = "not_found"
	// Refused is another answer of 4xx: the picture is not for us.
	Refused Code = "refused"
	// TooLarge is a file of more bytes than allowed.
	TooLarge Code = "too_large"
	// TooManyRedirects is a chain of redirects that is longer than allowed.
	TooManyRedirects Code = "too_many_redirects"
	// BadAnswer is an answer that can't be a picture, such as 204 or a compressed body.
	BadAnswer Code = "bad_answer"

	// RateLimited is an answer of 429.
	RateLimited Code = "rate_limited"
	// ServerError is an answer of 5xx.
	ServerError Code = "server_error"
	// TimedOut is a far side that was too slow.
	TimedOut Code = "timeout"
	// Unreachable is a name that does not resolve, or a connection that is refused or breaks.
	Unreachable Code = "unreachable"
)

// An Error says why a picture was not fetched. Its text names the address without its query, which may hold secrets.
type Error struct {
	Code       Code
	URL        string        // without query, fragment, user and password
	Message    string        // what is wrong and what to change
	RetryAfter time.Duration // how long the far side asked to be left alone; 0 when it didn't
	Err        error         // the cause; not part of the text, since its own may hold the query
}

// Error implements error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.URL + " " + e.Message }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Permanent reports that a retry is of no use.
func (e *Error) Permanent() bool {
	switch e.Code {
	case BlockedURL, NotFound, Refused, TooLarge, TooManyRedirects, BadAnswer:
		return true
	}
	return false
}

// Redact gives rawURL as it may be shown: without query, fragment, user and password.
func Redact(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Opaque != "" {
		return "(unreadable address)"
	}
	return redact(u)
}

func redact(u *url.URL) string {
	const limit = 500
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if s := shown.String(); len(s) <= limit {
		return s
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host[:min(len(u.Host), limit)], Path: "/..."}).String()
}
