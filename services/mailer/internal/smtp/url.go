package smtp

import (
	"errors"
	"net"
	"net/url"
	"strconv"
)

// TLS says how a connection is encrypted.
type TLS string

// The ways of encrypting.
const (
	STARTTLS TLS = "starttls" // begins in the clear, goes no further than EHLO without TLS; the default
	Implicit TLS = "implicit" // TLS from the first byte
	None     TLS = "none"     // in the clear, for a server on this machine or a trusted network
)

// A URL names a mail server and how to talk to it: smtp://user:password@host:port?tls=starttls|implicit|none.
// The password can't be printed by accident: it has no exported field, and String leaves it out.
type URL struct {
	Host string
	Port string
	TLS  TLS

	user     string
	password string
}

// Addr is host:port.
func (u URL) Addr() string { return net.JoinHostPort(u.Host, u.Port) }

// String gives u without its credentials.
func (u URL) String() string { return "smtp://" + u.Addr() + "?tls=" + string(u.TLS) }

// GoString keeps %#v from printing the password.
func (u URL) GoString() string { return u.String() }

// ParseURL reads s. Its errors hold no part of s: any part may be the password when a character in it was not escaped.
func ParseURL(s string) (URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Fragment != "" || u.Opaque != "" || (u.Path != "" && u.Path != "/") {
		return URL{}, errors.New("want smtp://user:password@host:port?tls=starttls, with every character of user and password " +
			"that is not a letter or digit percent-encoded (@ is %40)")
	}
	if u.Scheme != "smtp" {
		return URL{}, errors.New("want the scheme smtp:// (for TLS from the first byte add ?tls=implicit)")
	}
	query := u.Query()
	r := URL{Host: u.Hostname(), Port: u.Port(), TLS: TLS(query.Get("tls")), user: u.User.Username()}
	r.password, _ = u.User.Password()
	query.Del("tls")
	if len(query) > 0 {
		return URL{}, errors.New("it knows the query parameter tls alone")
	}
	var defaultPort string
	switch r.TLS {
	case "", STARTTLS:
		r.TLS, defaultPort = STARTTLS, "587"
	case Implicit:
		defaultPort = "465"
	case None:
		defaultPort = "25"
	default:
		return URL{}, errors.New("want tls=starttls (the default), tls=implicit or tls=none")
	}
	if r.Port == "" {
		r.Port = defaultPort
	}
	if n, err := strconv.ParseUint(r.Port, 10, 16); err != nil || n == 0 {
		return URL{}, errors.New("want a port from 1 to 65535")
	}
	if (r.user == "") != (r.password == "") {
		return URL{}, errors.New("want both user and password, or neither")
	}
	return r, nil
}
