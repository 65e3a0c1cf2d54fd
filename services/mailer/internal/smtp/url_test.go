package smtp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	tests := map[string]URL{
		"smtp://mail.example":                               {Host: "mail.example", Port: "587", TLS: STARTTLS},
		"smtp://mail.example/":                              {Host: "mail.example", Port: "587", TLS: STARTTLS},
		"smtp://mail.example:2525":                          {Host: "mail.example", Port: "2525", TLS: STARTTLS},
		"smtp://mail.example?tls=starttls":                  {Host: "mail.example", Port: "587", TLS: STARTTLS},
		"smtp://mail.example?tls=implicit":                  {Host: "mail.example", Port: "465", TLS: Implicit},
		"smtp://localhost:1025?tls=none":                    {Host: "localhost", Port: "1025", TLS: None},
		"smtp://localhost?tls=none":                         {Host: "localhost", Port: "25", TLS: None},
		"smtp://[::1]:1025?tls=none":                        {Host: "::1", Port: "1025", TLS: None},
		"smtp://ada%40mail.example:s%3Acr%2Ft@mail.example": {Host: "mail.example", Port: "587", TLS: STARTTLS, user: "ada@mail.example", password: "s:cr/t"},
	}
	for in, want := range tests {
		if got, err := ParseURL(in); err != nil || got != want {
			t.Errorf("ParseURL(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "mail.example", "mail.example:587", "smtp://", "smtp:mail.example", "smtps://mail.example", "http://mail.example",
		"smtp://mail.example?tls=no", "smtp://mail.example?tls=STARTTLS", "smtp://mail.example?timeout=3s", "smtp://mail.example/x",
		"smtp://mail.example:0", "smtp://mail.example:99999", "smtp://mail.example:smtp", "smtp://user@mail.example",
		"smtp://:hunter2@mail.example",
	} {
		if got, err := ParseURL(in); err == nil {
			t.Errorf("ParseURL(%q) = %v, want an error", in, got)
		}
	}
}

func TestURLHidesThePassword(t *testing.T) {
	t.Parallel()
	// Passwords that were not escaped, so that parts of them end up in other parts of the URL.
	for _, in := range []string{
		"smtp://ada:hunter2#x@mail.example", "smtp://ada:25#hunter2@mail.example", "smtp://ada:x/hunter2@mail.example",
		"smtp://ada:25/hunter2@mail.example", "smtp://ada:25?hunter2@mail.example", "smtp://ada:hunter2%zz@mail.example",
		"smtp://ada:hunter2 x@mail.example", "smtp://ada:hunter2[@mail.example", "smtp://ada:hunter2@mail.example:x",
		"smtp://ada:hunter2@mail.example?tls=hunter2", "smtp://ada:hunter2\n@mail.example", "ada:hunter2@mail.example",
		"hunter2://ada@mail.example",
	} {
		if _, err := ParseURL(in); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseURL(%q): %v, want an error without the password", in, err)
		}
	}

	u, err := ParseURL("smtp://ada:hunter2@mail.example")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{
		u.String(), string(b), fmt.Sprint(u), fmt.Sprintf("%+v", u), fmt.Sprintf("%#v", u), fmt.Sprintf("%+v", &u),
		fmt.Sprintf("%+v", Config{URL: u}), fmt.Sprintf("%#v", Config{URL: u}),
	} {
		if strings.Contains(printed, "hunter2") {
			t.Errorf("printed with its password: %s", printed)
		}
	}
}
