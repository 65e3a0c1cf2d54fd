package discord

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"handoff/services/notifier/internal/notice"
	"handoff/services/notifier/internal/notice/noticetest"
)

func TestPosterKeepsTheContract(t *testing.T) {
	t.Parallel()
	noticetest.Run(t, func(t *testing.T) (notice.Poster, noticetest.Board) {
		c := startChannel(t)
		return c.poster(t), c
	})
}

func TestPosterSendsWhatDiscordWants(t *testing.T) {
	t.Parallel()
	c := startChannel(t)
	n := hello()
	n.Text = `New user registered: @everyone **x** [a](https://b) (a_b@example.org)!`
	got, err := c.poster(t).Post(t.Context(), n)
	if want := (notice.Receipt{Driver: "discord", MessageID: "1"}); err != nil || got != want {
		t.Fatalf("Post = %+v, %v; want %+v", got, err, want)
	}
	const body = `{"content":"New user registered\\: \\@everyone \\*\\*x\\*\\* \\[a\\]\\(https\\://b\\) \\(a\\_b\\@example.org\\)!",` +
		`"allowed_mentions":{"parse":[]}}`
	if c.bodies[0] != body {
		t.Errorf("sent %s, want %s", c.bodies[0], body)
	}
	r := c.requests[0]
	if r.Method != http.MethodPost || r.URL.Path != "/api/webhooks/1234/"+token || r.URL.RawQuery != "wait=true" ||
		r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("asked %s %s with %v", r.Method, r.URL, r.Header)
	}
}

func TestPosterTellsRefusalsFromTroubles(t *testing.T) {
	t.Parallel()
	const refused, retried, hourly = "refused", "retried", "later "
	tests := map[string]struct {
		reply http.HandlerFunc
		want  string
		says  string
	}{
		"unknown webhook":            {answer(404, `{"message":"Unknown Webhook","code":10015}`), refused, "404 Unknown Webhook (code 10015)"},
		"bad token":                  {answer(401, `{"message":"Invalid Webhook Token","code":50027}`), refused, "DISCORD_WEBHOOK_URL"},
		"forbidden":                  {answer(403, `{"message":"Missing Access","code":50001}`), refused, "DISCORD_WEBHOOK_URL"},
		"banned for a while":         {answer(403, `error code: 1020`), retried, "403 Forbidden"},
		"bad request":                {answer(400, `{"message":"Cannot send an empty message","code":50006}`), refused, "50006"},
		"too large":                  {answer(413, `<html>`), refused, "413"},
		"request timeout":            {answer(408, ``), retried, "408"},
		"server error":               {answer(500, ``), retried, "500"},
		"bad gateway, a page":        {answer(502, `<html>cloudflare`), retried, "502"},
		"unavailable":                {answer(503, ``), retried, "503"},
		"moved":                      {answer(301, ``, "Location", "https://elsewhere.example/"), retried, "301"},
		"moved, keeping the method":  {answer(307, ``, "Location", "/elsewhere"), retried, "307"},
		"limited, by the header":     {answer(429, `{"retry_after":0.5}`, "Retry-After", "2"), hourly + "2s", "429"},
		"limited, by the body":       {answer(429, `{"message":"You are being rate limited.","retry_after":1.337,"global":false}`), hourly + "1.337s", "rate limited"},
		"limited, with a fraction":   {answer(429, ``, "Retry-After", "0.25"), hourly + "250ms", "429"},
		"limited, without a time":    {answer(429, ``), retried, "429"},
		"limited, with nonsense":     {answer(429, `{}`, "Retry-After", "soon"), retried, "429"},
		"limited, with less than 0":  {answer(429, `{"retry_after":-5}`, "Retry-After", "-5"), retried, "429"},
		"limited, for no time":       {answer(429, `{"retry_after":0}`, "Retry-After", "0"), retried, "429"},
		"limited, the body knows":    {answer(429, `{"retry_after":0.3}`, "Retry-After", "0"), hourly + "300ms", "429"},
		"limited, with no number":    {answer(429, ``, "Retry-After", "NaN"), retried, "429"},
		"limited for too long":       {answer(429, ``, "Retry-After", "1e300"), hourly + "1h0m0s", "429"},
		"the server quotes the URL":  {answer(400, `{"message":"bad: /api/webhooks/1234/`+token+`"}`), refused, "[token]"},
		"hangs up":                   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, retried, "EOF"},
		"an endless page of nothing": {answer(500, strings.Repeat("x", 3*maxAnswer)), retried, "500"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startChannel(t, tt.reply)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := c.poster(t).Post(ctx, hello())
			if got := class(err); got != tt.want {
				t.Errorf("Post: %v is %s, want %s", err, got, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Post: %v, want it to say %q", err, tt.says)
			}
			noSecret(t, err)
			if c.count() != 1 {
				t.Errorf("asked %d times, want once", c.count())
			}
		})
	}
}

func class(err error) string {
	var later *notice.LaterError
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, notice.ErrRefused):
		return "refused"
	case errors.As(err, &later):
		return "later " + later.After.String()
	}
	return "retried"
}

func noSecret(t *testing.T, err error) {
	t.Helper()
	for _, printed := range []string{fmt.Sprintf("%v", err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		if strings.Contains(printed, token) {
			t.Errorf("the error holds the secret: %s", printed)
		}
	}
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.Contains(err.Error(), token) {
			t.Errorf("a wrapped error holds the secret: %v", err)
		}
	}
}

func TestPosterTakesAnAnswerThatBreaksOffForAnAnswer(t *testing.T) {
	t.Parallel()
	c := startChannel(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"id":`))
	})
	// It has been posted: to say otherwise would have it posted again.
	if _, err := c.poster(t).Post(t.Context(), hello()); err != nil {
		t.Errorf("Post: %v", err)
	}
}

func TestPosterUsesItsConnectionAgain(t *testing.T) {
	t.Parallel()
	c := startChannel(t, answer(500, strings.Repeat("x", 1000)))
	p := c.poster(t)
	_, _ = p.Post(t.Context(), hello())
	for range 3 {
		if _, err := p.Post(t.Context(), hello()); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range c.requests[1:] {
		if r.RemoteAddr != c.requests[0].RemoteAddr {
			t.Errorf("a request came from %s, the first from %s", r.RemoteAddr, c.requests[0].RemoteAddr)
		}
	}
}

func TestPosterEndsWithItsContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c := startChannel(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) }) // before the channel closes, which waits for it
	stopped := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer time.AfterFunc(50*time.Millisecond, func() { cancel(stopped) }).Stop()
	_, err := c.poster(t).Post(ctx, hello())
	if !errors.Is(err, stopped) || class(err) != "retried" {
		t.Errorf("Post: %v, want the context's cause", err)
	}
	noSecret(t, err)
}

func TestPosterNeedsAServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"http://" + addr, "https://webhook.invalid"} {
		w, err := ParseWebhook(host + "/api/webhooks/1234/" + token)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err = New(w).Post(ctx, hello())
		cancel()
		if class(err) != "retried" {
			t.Errorf("%s: %v, want an error to retry after", host, err)
		}
		noSecret(t, err)
	}
}

func TestParseWebhook(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://discord.com/api/webhooks/1/" + token:         "https://discord.com/api/webhooks/1/" + token + "?wait=true",
		"https://discord.com/api/webhooks/1/" + token + "/":   "https://discord.com/api/webhooks/1/" + token + "/?wait=true",
		"https://discord.com/api/webhooks/1/x?thread_id=5":    "https://discord.com/api/webhooks/1/x?thread_id=5&wait=true",
		"https://discord.com/api/webhooks/1/x?wait=false#top": "https://discord.com/api/webhooks/1/x?wait=true",
		"http://127.0.0.1:8080/hook":                          "http://127.0.0.1:8080/hook?wait=true",
		"http://[::1]:8080/hook":                              "http://[::1]:8080/hook?wait=true",
		"http://localhost/hook":                               "http://localhost/hook?wait=true",
	} {
		w, err := ParseWebhook(in)
		if err != nil || w.target != want {
			t.Errorf("ParseWebhook(%q) = %q, %v; want %q", in, w.target, err, want)
		}
		if printed := fmt.Sprintf("%v %+v %#v", w, &w, w); strings.Contains(printed, token) {
			t.Errorf("printed with its secret: %s", printed)
		}
	}
	for _, in := range []string{
		"", "discord.com/api/webhooks/1/" + token, "http://discord.com/api/webhooks/1/" + token, "https://discord.com", "https://discord.com/",
		"ftp://discord.com/" + token, "https://" + token, "https://user:" + token + "@discord.com/x", "https://discord.com/" + token + "%zz",
		token + "://discord.com/x", "https://discord.com:" + token + "/x",
	} {
		if w, err := ParseWebhook(in); err == nil {
			t.Errorf("ParseWebhook(%q) = %v, want an error", in, w)
		} else {
			noSecret(t, err)
		}
	}
}
