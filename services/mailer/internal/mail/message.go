package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	netmail "net/mail"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// A Message is one e-mail, ready for any [Sender]. Senders that speak an API read its fields, all others send [Message.Bytes].
type Message struct {
	Key     string    // names the effect: the same for every attempt; letters, digits, ".", "_" and "-"
	ID      string    // Message-ID without angle brackets
	Date    time.Time // zero, as in an event made by hand: the time of rendering
	From    netmail.Address
	To      netmail.Address
	Subject string
	Text    string
	HTML    string
}

// Bytes gives m in the Internet Message Format with CRLF line ends: a multipart/alternative of the text and the HTML.
// The same message with a Date always gives the same bytes, and they are ASCII unless an address is not.
func (m *Message) Bytes() ([]byte, error) {
	msg := gomail.NewMsg(
		gomail.WithCharset(gomail.CharsetUTF8),
		gomail.WithEncoding(gomail.EncodingQP),
		gomail.WithBoundary(m.boundary()),
		gomail.WithNoDefaultUserAgent(), // it would change with each version of the library
	)
	msg.FromMailAddress(&m.From)
	msg.ToMailAddress(&m.To)
	msg.Subject(m.Subject)
	if !m.Date.IsZero() { // else the library sets one
		msg.SetDateWithValue(m.Date.UTC())
	}
	msg.SetMessageIDWithValue(m.ID)
	// RFC 3834: keeps vacation responders from answering.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)

	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("render message %s: %w", m.ID, err)
	}
	return b.Bytes(), nil
}

// boundary parts the bodies. It depends on both of them, so that no body can be written to contain it.
func (m *Message) boundary() string {
	h := sha256.New()
	for _, s := range []string{m.ID, m.Text, m.HTML} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return "part-" + hex.EncodeToString(h.Sum(nil)[:16])
}
