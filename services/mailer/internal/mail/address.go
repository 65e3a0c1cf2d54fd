package mail

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// ParseFrom reads a sender such as "Handoff <no-reply@example.org>" or a bare address.
func ParseFrom(s string) (netmail.Address, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil {
		return netmail.Address{}, errors.New(`want "Name <user@example.org>" or user@example.org`)
	}
	address, err := forEnvelope(a.Address)
	if err != nil {
		return netmail.Address{}, err
	}
	return netmail.Address{Name: headerText(oneLine(a.Name)), Address: address}, nil
}

// parseRecipient reads a bare address. It takes no display name, comment or quoted local part: a text that means something
// else than it looks like has no business in an envelope.
func parseRecipient(s string) (netmail.Address, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || clean(s) != s {
		return netmail.Address{}, fmt.Errorf("%w: %.100q is not a bare e-mail address", ErrRefused, s)
	}
	address, err := forEnvelope(a.Address)
	if err != nil {
		return netmail.Address{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return netmail.Address{Address: address}, nil
}

// forEnvelope gives an address as every mail server understands it, its domain in ASCII. The local part stays as it is: only
// its own server knows what it means.
func forEnvelope(address string) (string, error) {
	d := domain(address)
	if !isASCII(d) {
		ascii, err := idna.Lookup.ToASCII(d)
		if err != nil {
			return "", fmt.Errorf("%.100q is not a domain: %w", d, err)
		}
		address = strings.TrimSuffix(address, d) + ascii
	}
	if len(address) > maxAddress {
		return "", fmt.Errorf("an address of %d bytes is longer than mail can carry", len(address))
	}
	// What a domain maps to may be empty, and a local part that had to be quoted can't stand in an envelope as it is.
	if _, err := netmail.ParseAddress("<" + address + ">"); err != nil {
		return "", fmt.Errorf("%.100q is not an address that can be sent", address)
	}
	return address, nil
}

// maxAddress is RFC 5321's limit of a path, without its angle brackets.
const maxAddress = 254

func domain(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}

// maxName keeps a name readable in a subject, and a name that is an advertisement short.
const maxName = 100

// oneLine gives a name that can't break a line, turn the direction of the text around it, or fill the page.
func oneLine(name string) string {
	name = strings.Join(strings.Fields(clean(name)), " ")
	if r := []rune(name); len(r) > maxName {
		name = string(r[:maxName-1]) + "…"
	}
	return name
}

// clean takes out of a text what acts on the text around it.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// headerText keeps a text that looks like an RFC 2047 encoded word from being decoded by the reader's program.
func headerText(s string) string { return strings.ReplaceAll(s, "=?", "= ?") }
