package fetch

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config bounds what a [Client] does. A field that is zero means its default.
type Config struct {
	// Allow lists host:port pairs that may be fetched from wherever they are, the loopback and private networks
	// included. Host and port must be written in the URL as they are here, but for the case of letters.
	Allow []string
	// MaxBytes is how large a file may be. Default 25 MiB.
	MaxBytes int64
	// Timeout is for the whole of it, redirects included. Default 20 s.
	Timeout time.Duration
	// ConnectTimeout is for the connection, and once more for TLS. Default 3 s.
	ConnectTimeout time.Duration
	// HeaderTimeout is for the answer's head, once the request is sent. Default 5 s.
	HeaderTimeout time.Duration
}

const (
	maxRedirects   = 3
	maxHeaderBytes = 64 << 10
)

// A Client fetches pictures. It is safe for use by many goroutines.
type Client struct {
	http     *http.Client
	guard    *guard
	maxBytes int64
	timeout  time.Duration
	now      func() time.Time
}

// New makes a client. It fails when an entry of cfg.Allow is not a host:port.
func New(cfg Config) (*Client, error) {
	connect := cmp.Or(cfg.ConnectTimeout, 3*time.Second)
	g, err := newGuard(cfg.Allow, connect)
	if err != nil {
		return nil, err
	}
	c := &Client{
		guard:    g,
		maxBytes: cmp.Or(cfg.MaxBytes, 25<<20),
		timeout:  cmp.Or(cfg.Timeout, 20*time.Second),
		now:      time.Now,
	}
	c.http = &http.Client{
		CheckRedirect: c.checkRedirect,
		Transport: &http.Transport{
			Proxy:                  nil, // through a proxy the guard would see the proxy's address only
			DialContext:            g.dial,
			TLSHandshakeTimeout:    connect,
			ResponseHeaderTimeout:  cmp.Or(cfg.HeaderTimeout, 5*time.Second),
			MaxResponseHeaderBytes: maxHeaderBytes,
			DisableCompression:     true, // the cap is on bytes, and a small body can inflate to any number of them
			DisableKeepAlives:      true,
		},
	}
	return c, nil
}

// Fetch gets the bytes at rawURL. The error is an [*Error], or the cause of ctx when that has ended.
func (c *Client) Fetch(ctx context.Context, rawURL string) ([]byte, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		// The parser's error quotes the address, query and all.
		return nil, &Error{Code: BlockedURL, URL: "(unreadable address)", Message: "is not fetched: write it as http://host/path"}
	}
	body, err := c.get(ctx, u)
	switch {
	case err == nil:
		return body, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, c.explain(u, err)
}

func (c *Client) get(ctx context.Context, u *url.URL) ([]byte, error) {
	if err := c.guard.check(u); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, blocked("is not fetched: write it as http://host/path")
	}
	req.Header.Set("Accept", "image/jpeg, image/png, image/gif, image/webp, */*;q=0.1")
	req.Header.Set("User-Agent", "Handoff-Imager/1")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	// Without keep-alive, closing ends the connection: what is left of the body is not read.
	defer func() { _ = res.Body.Close() }()
	if err := judge(res, c.now()); err != nil {
		return nil, err
	}
	if res.ContentLength > c.maxBytes {
		return nil, errTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, c.maxBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > c.maxBytes {
		return nil, errTooLarge
	}
	return body, nil
}

var (
	errTooLarge         = errors.New("body over the cap")
	errTooManyRedirects = errors.New("too many redirects")
)

// checkRedirect applies to each address what was applied to the first.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errTooManyRedirects
	}
	// It would tell the next host the query of this one.
	req.Header.Del("Referer")
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme == "http" {
		return blocked("redirects from https to http, which is not followed")
	}
	if err := c.guard.check(req.URL); err != nil {
		_, why, _ := strings.Cut(err.Error(), ": ")
		return blocked("redirects to an address that %s", why)
	}
	return nil
}
