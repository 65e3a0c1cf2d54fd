package web

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkEmail says what keeps s from being an address that mail can be sent to. It is stricter than RFC 5322: no display
// name, no quotes, no comments, no IP literal, a domain of at least two labels; letters of any script are fine. Whatever
// passes is one plain address for net/mail too (a fuzz test holds it to that).
func checkEmail(s string) error {
	if len(s) > maxEmail {
		return fmt.Errorf("an e-mail address has at most %d bytes", maxEmail)
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return errors.New("an e-mail address has an @")
	}
	if err := checkLocal(s[:at]); err != nil {
		return err
	}
	return checkDomain(s[at+1:])
}

func checkLocal(local string) error {
	if local == "" || len(local) > 64 {
		return errors.New("the part before the @ must have 1 to 64 bytes")
	}
	if local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return errors.New("the part before the @ must not begin or end with a dot or have two in a row")
	}
	for _, r := range local {
		if !localRune(r) {
			return errors.New("the part before the @ has a character that is not allowed there")
		}
	}
	return nil
}

func localRune(r rune) bool {
	if r >= utf8.RuneSelf {
		return wordRune(r)
	}
	return asciiWord(r) || strings.ContainsRune(".!#$%&'*+-/=?^_`{|}~", r)
}

func checkDomain(domain string) error {
	var last string
	labels := 0
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("each part of the domain must have 1 to 63 bytes and no hyphen at its ends")
		}
		for _, r := range label {
			if r != '-' && !asciiWord(r) && (r < utf8.RuneSelf || !wordRune(r)) {
				return errors.New("the domain has a character that is not allowed there")
			}
		}
		last = label
		labels++
	}
	if labels < 2 {
		return errors.New("the domain needs a dot")
	}
	if strings.Trim(last, "0123456789") == "" {
		return errors.New("the domain must not be an IP address")
	}
	return nil
}

func asciiWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// wordRune holds for what words are written with; not for spaces, controls, signs that are not seen, or bytes that are no
// UTF-8.
func wordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)
}
