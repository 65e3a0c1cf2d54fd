package discord

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"handoff/services/notifier/internal/notice"
	"handoff/shared/event"
)

// maxAnswer is how much of an answer is read. What is of interest comes in its first few hundred bytes.
const maxAnswer = 64 << 10

// A Poster posts to one webhook. It implements [notice.Poster].
type Poster struct {
	webhook Webhook
	client  *http.Client
	pace    *pace
}

// New gives a Poster. How long a request takes is bounded by the context that Post gets.
func New(w Webhook) *Poster {
	return &Poster{
		webhook: w,
		client: &http.Client{
			Transport: http.DefaultTransport.(*http.Transport).Clone(),
			// A webhook does not move; a redirect would carry the secret elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		pace: newPace(),
	}
}

// Close gives back the connections that are kept for the next notice.
func (p *Poster) Close() { p.client.CloseIdleConnections() }

// payload is Discord's "execute webhook" request.
type payload struct {
	Content         string          `json:"content"`
	AllowedMentions allowedMentions `json:"allowed_mentions"`
}

type allowedMentions struct {
	Parse []string `json:"parse"`
}

// Post sends n. It first waits for as long as Discord has asked for in its last answers, see pace. It implements [notice.Poster].
func (p *Poster) Post(ctx context.Context, n notice.Notice) (notice.Receipt, error) {
	body, err := json.Marshal(payload{Content: escape(n.Text), AllowedMentions: allowedMentions{Parse: []string{}}})
	if err != nil {
		return notice.Receipt{}, fmt.Errorf("encode notice %s: %w", n.Key, err)
	}
	if err := p.pace.wait(ctx); err != nil {
		return notice.Receipt{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.webhook.target, bytes.NewReader(body))
	if err != nil {
		return notice.Receipt{}, fmt.Errorf("make the request: %w", withoutURL(err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Handoff-Notifier")
	resp, err := p.client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return notice.Receipt{}, fmt.Errorf("ask %s: %w", p.webhook, withoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	// Read to its end, so that the connection can serve the next notice. An answer that breaks off was an answer all the same.
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	p.pace.note(resp.Header)
	return p.judge(resp, answer)
}

// judge decides what an answer means.
func (p *Poster) judge(resp *http.Response, body []byte) (notice.Receipt, error) {
	var a struct {
		ID         string  `json:"id"`
		Message    string  `json:"message"`
		Code       int     `json:"code"`
		RetryAfter float64 `json:"retry_after"`
	}
	_ = json.Unmarshal(body, &a) // whoever stands between may answer with a page instead: the status says enough
	if resp.StatusCode/100 == 2 {
		return notice.Receipt{Driver: "discord", MessageID: a.ID}, nil
	}
	said := resp.Status
	if a.Message != "" {
		said = fmt.Sprintf("%d %s", resp.StatusCode, p.redact(a.Message))
	}
	if a.Code != 0 {
		said += fmt.Sprintf(" (code %d)", a.Code)
	}
	err := fmt.Errorf("%s answers %s", p.webhook, said)
	switch s := resp.StatusCode; {
	case s == http.StatusTooManyRequests:
		after, ok := retryAfter(resp.Header, a.RetryAfter)
		if !ok {
			return notice.Receipt{}, err
		}
		p.pace.hold(after)
		return notice.Receipt{}, &notice.LaterError{After: after, Err: err}
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == http.StatusForbidden && a.Code == 0:
		// A 403 without a code of Discord's is from whoever stands before it, such as a ban of this address for a while.
		return notice.Receipt{}, err
	case s == http.StatusUnauthorized, s == http.StatusForbidden, s == http.StatusNotFound:
		return notice.Receipt{}, fmt.Errorf("%w: %w: check DISCORD_WEBHOOK_URL", notice.ErrRefused, err)
	case s/100 == 4:
		return notice.Receipt{}, fmt.Errorf("%w: %w", notice.ErrRefused, err)
	}
	return notice.Receipt{}, err
}

// redact takes the secret out of what the other side says, which may quote the request.
func (p *Poster) redact(s string) string {
	return event.Cut(strings.ReplaceAll(s, p.webhook.token, "[token]"), 200)
}

// withoutURL gives what net/http's error is about, without the address that it names.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// escape keeps Discord from reading a text as markup, a link or a mention. A backslash before punctuation is not shown.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("\\`*_~|<>[]():@#", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// seconds reads a number of seconds; ok is false when it is none that makes sense.
func seconds(f float64) (d time.Duration, ok bool) {
	if !(f >= 0 && f <= maxWait.Seconds()) {
		return maxWait, f > 0
	}
	return time.Duration(f * float64(time.Second)), true
}
