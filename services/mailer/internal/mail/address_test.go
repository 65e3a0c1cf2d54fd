package mail

import "testing"

func TestParseFrom(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Handoff <no-reply@localhost>":  `"Handoff" <no-reply@localhost>`,
		"no-reply@localhost":            `<no-reply@localhost>`,
		`"A, B" <a@bücher.example>`:     `"A, B" <a@xn--bcher-kva.example>`,
		"=?utf-8?q?Z=C3=BC?= <a@b.org>": `=?utf-8?q?Z=C3=BC?= <a@b.org>`,
	} {
		if got, err := ParseFrom(in); err != nil || got.String() != want {
			t.Errorf("ParseFrom(%q) = %q, %v; want %q", in, got.String(), err, want)
		}
	}
	for _, in := range []string{"", "Handoff", "a@b, c@d", "a@\u00ad.example", "a@b\r\nBcc: c@d", `"a> SIZE=1"@b.org`} {
		if got, err := ParseFrom(in); err == nil {
			t.Errorf("ParseFrom(%q) = %q, want an error", in, got.String())
		}
	}
}
