package discord

import (
	"errors"
	"net"
	"net/url"
	"path"
	"strings"
)

// A Webhook is the address to post to. It can't be printed by accident: String leaves out what is secret.
type Webhook struct {
	target string
	host   string
	token  string
}

// ParseWebhook reads an address as Discord's settings show it, https://discord.com/api/webhooks/<id>/<token>. A query, such as
// thread_id, is kept. Its errors hold no part of s.
func ParseWebhook(s string) (Webhook, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" || u.User != nil {
		return Webhook{}, errors.New("want https://discord.com/api/webhooks/<id>/<token>, as Discord's settings show it")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return Webhook{}, errors.New("want https: the address is a secret")
	}
	query := u.Query()
	query.Set("wait", "true") // answer once the message is there, and with its id
	u.RawQuery, u.Fragment = query.Encode(), ""
	return Webhook{target: u.String(), host: u.Host, token: path.Base(u.Path)}, nil
}

// String names the host alone.
func (w Webhook) String() string { return "webhook at " + w.host }

// GoString keeps %#v from printing the secret.
func (w Webhook) GoString() string { return w.String() }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
