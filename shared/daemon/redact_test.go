package daemon

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"nats://127.0.0.1:4222":               "nats://127.0.0.1:4222",
		"nats://u:s3cr3t@host:4222":           "nats://host:4222",
		"nats://s3cr3t@host":                  "nats://host",
		"u:s3cr3t@host:4222":                  "host:4222",
		"s3cr3t@host":                         "host",
		"host":                                "host",
		"nats://u:s3cr3t@a,nats://u:s3cr3t@b": "nats://a,nats://b",
		"nats://a:1,b:2":                      "nats://a:1,b:2",
		"nats://u:s3cr3t@a:1, tls://b":        "nats://a:1, tls://b",
		"nats://u:s3,cr3t@host":               "nats://host",
		"nats://u:s3cr3t,s3@cr3t@host":        "nats://host",
		"nats://u:s3cr3t/s3?cr3t#x@host":      "nats://host",
		"nats://u:%zzs3cr3t@host":             "nats://host",
		"wss://host/path?token=s3cr3t":        "wss://host/path",
		"":                                    "",
	} {
		if got := redact(in); got != want {
			t.Errorf("redact(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestCheckNATSURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"nats://127.0.0.1:4222", "host", "host:4222", "u:p@host", "tls://u:p@host:1", "nats://a,nats://b", "a, b", "ws://a,wss://b",
		"nats://[::1]:4222", "nats://u:p%2Fw@host",
	} {
		if err := checkNATSURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, says := range map[string]string{
		"": "use addresses", "nats://": "use addresses", "a,": "use addresses", "nats://u:%zz-s3cr3t@host": "use addresses",
		"nats://u:s3cr3t/x@host": "use addresses", "nats://host:port": "use addresses", "http://u:s3cr3t@host": "http is not one of",
		"nats://u:s3cr3t@a,ws://b": "either all", "nats://u:s3cr3t@ho st": "use addresses", "nats://a\nb": "use addresses",
	} {
		err := checkNATSURL(bad)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "NATS_URL is ") {
			t.Errorf("%q: got %v, want %q", bad, err, says)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: the password is in %v", bad, err)
		}
	}
}
