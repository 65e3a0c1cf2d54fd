package smtp

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	gosmtp "github.com/wneessen/go-mail/smtp"
)

// open brings a fresh connection to where a mail transaction can begin: greeted, encrypted, authenticated.
func (s *Sender) open(ctx context.Context, conn net.Conn) (*gosmtp.Client, error) {
	tlsConfig := &tls.Config{ServerName: s.cfg.URL.Host, RootCAs: s.cfg.RootCAs, MinVersion: tls.VersionTLS12}
	if s.cfg.URL.TLS == Implicit {
		c := tls.Client(conn, tlsConfig)
		if err := c.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("begin TLS (if the server wants STARTTLS, set tls=starttls in SMTP_URL): %w", err)
		}
		conn = c
	}
	client, err := gosmtp.NewClient(conn, s.cfg.URL.Host)
	if err != nil {
		return nil, fmt.Errorf("wait for the greeting: %w", err)
	}
	if err := client.Hello(s.cfg.Helo); err != nil {
		return nil, fmt.Errorf("say hello: %w", err)
	}
	if s.cfg.URL.TLS == STARTTLS {
		if ok, _ := client.Extension("STARTTLS"); !ok {
			return nil, errors.New("the server offers no STARTTLS: in SMTP_URL set tls=implicit if it speaks TLS from the first byte, " +
				"or tls=none to send in the clear")
		}
		if err := client.StartTLS(tlsConfig); err != nil {
			return nil, fmt.Errorf("begin TLS: %w", err)
		}
	}
	if err := s.authenticate(client); err != nil {
		return nil, err
	}
	return client, nil
}

func (s *Sender) authenticate(client *gosmtp.Client) error {
	u := s.cfg.URL
	if u.user == "" {
		return nil
	}
	ok, offer := client.Extension("AUTH")
	if !ok {
		return errors.New("the server takes no credentials: leave user and password out of SMTP_URL")
	}
	auth := u.mechanism(strings.Fields(strings.ToUpper(offer)))
	if auth == nil {
		return fmt.Errorf("the server offers none of the ways to authenticate that are known here: %s", offer)
	}
	if err := client.Auth(auth); err != nil {
		hint := ""
		if errors.Is(err, gosmtp.ErrUnencrypted) {
			hint = " (the password is not sent in the clear: set tls=starttls or tls=implicit in SMTP_URL)"
		}
		// Text alone: a server may quote what it was sent.
		return fmt.Errorf("the server refuses the credentials of SMTP_URL%s: %s", hint, u.redact(err.Error()))
	}
	return nil
}

// mechanism picks from the server's offer: the plain ones first under TLS, where every server does them alike; those that
// do not show the password first in the clear, where the plain ones work with a server on this machine alone.
func (u URL) mechanism(offer []string) gosmtp.Auth {
	order := []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"}
	if u.TLS == None {
		order = []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"}
	}
	for _, name := range order {
		if !slices.Contains(offer, name) {
			continue
		}
		switch name {
		case "PLAIN":
			return gosmtp.PlainAuth("", u.user, u.password, u.Host, false)
		case "LOGIN":
			return gosmtp.LoginAuth(u.user, u.password, u.Host, false)
		case "SCRAM-SHA-256":
			return gosmtp.ScramSHA256Auth(u.user, u.password)
		case "SCRAM-SHA-1":
			return gosmtp.ScramSHA1Auth(u.user, u.password)
		case "CRAM-MD5":
			return gosmtp.CRAMMD5Auth(u.user, u.password)
		}
	}
	return nil
}

// redact takes the password out of a server's words, as it is and as it was sent.
func (u URL) redact(s string) string {
	b64 := base64.StdEncoding.EncodeToString
	return strings.NewReplacer(
		b64([]byte("\x00"+u.user+"\x00"+u.password)), "[password]",
		b64([]byte(u.password)), "[password]",
		u.password, "[password]",
	).Replace(s)
}
