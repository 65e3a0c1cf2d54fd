package smtp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"time"
	"unicode"

	gosmtp "github.com/wneessen/go-mail/smtp"

	"handoff/services/mailer/internal/mail"
)

// Config is what a [Sender] needs.
type Config struct {
	URL     URL
	RootCAs *x509.CertPool // whom to trust; nil: whom the system trusts
	Helo    string         // the name to introduce itself by; "": localhost
}

// A Sender sends messages to one mail server. It implements [mail.Sender].
type Sender struct{ cfg Config }

// New gives a Sender. It does not connect yet.
func New(cfg Config) *Sender {
	if cfg.Helo == "" {
		cfg.Helo = "localhost"
	}
	return &Sender{cfg: cfg}
}

// Simulated implements [mail.Sender].
func (*Sender) Simulated() bool { return false }

// Send hands m to the server. It implements [mail.Sender].
func (s *Sender) Send(ctx context.Context, m *mail.Message) (mail.Receipt, error) {
	b, err := m.Bytes()
	if err != nil {
		return mail.Receipt{}, err
	}
	if err := s.send(ctx, m, b); err != nil {
		if cause := context.Cause(ctx); cause != nil { // it closed the connection; err says how far the attempt had come
			err = fmt.Errorf("%w (%s)", cause, err.Error())
		}
		return mail.Receipt{}, fmt.Errorf("send message %s by %s: %w", m.ID, s.cfg.URL.Addr(), err)
	}
	return mail.Receipt{Driver: "smtp", Server: s.cfg.URL.Addr()}, nil
}

func (s *Sender) send(ctx context.Context, m *mail.Message, body []byte) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.cfg.URL.Addr())
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	// The protocol's reads and writes know no context: its end closes the connection under them.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()

	client, err := s.open(ctx, conn)
	if err != nil {
		return err
	}
	if err := deliver(client, m, body); err != nil {
		return err
	}
	// The server has taken the message: how the goodbye goes is no matter, and not worth a long wait.
	_ = conn.SetDeadline(time.Now().Add(quitWait))
	_ = client.Quit()
	return nil
}

const quitWait = time.Second

// deliver is one mail transaction.
func deliver(client *gosmtp.Client, m *mail.Message, body []byte) error {
	// Asked for only where it is needed: a relay passes such a message on to nobody who can't do SMTPUTF8.
	utf8 := !ascii(m.To.Address) || !ascii(m.From.Address)
	if ok, _ := client.Extension("SMTPUTF8"); utf8 && !ok {
		return fmt.Errorf("%w: the server takes no address with characters beyond ASCII before the @", mail.ErrRefused)
	}
	client.SkipSMTPUTF8(!utf8)

	if err := client.Mail("<" + m.From.Address + ">"); err != nil {
		return fmt.Errorf("the server refuses the sender %s (set MAIL_FROM to one that it takes): %w", m.From.Address, err)
	}
	if err := client.Rcpt("<" + m.To.Address + ">"); err != nil {
		return refusal("the recipient", err)
	}
	w, err := client.Data()
	if err != nil {
		return refusal("the message", err)
	}
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("write the message: %w", err)
	}
	if err := w.Close(); err != nil {
		return refusal("the message", err)
	}
	return nil
}

// refusal says whether the server's no to what is for good.
func refusal(what string, err error) error {
	var reply *textproto.Error
	switch {
	case !errors.As(err, &reply):
		return fmt.Errorf("no answer about %s: %w", what, err)
	case reply.Code < 500, authReply(reply.Code):
		return fmt.Errorf("the server does not take %s now: %w", what, err)
	}
	return fmt.Errorf("%w: the server refuses %s: %w", mail.ErrRefused, what, err)
}

// authReply reports whether a reply of 5xx is about credentials (RFC 4954 §6), and so about the configuration.
func authReply(code int) bool {
	switch code {
	case 530, 534, 535, 538:
		return true
	}
	return false
}

func ascii(s string) bool {
	for _, r := range s {
		if r > unicode.MaxASCII {
			return false
		}
	}
	return true
}
