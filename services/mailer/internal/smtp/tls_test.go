package smtp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"handoff/services/mailer/internal/mail"
	"handoff/services/mailer/internal/smtp"
)

// certificate makes one for 127.0.0.1 and gives the files that hold it and the pool that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailpit"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, b := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}

// passwords gives a file that lets ada in with the password hunter2.
func passwords(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(path, []byte("ada:hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSenderOverTLSWithCredentials(t *testing.T) {
	t.Parallel()
	certFile, keyFile, pool := certificate(t)
	tests := map[string]struct{ flag, tls string }{
		"starttls": {"--smtp-require-starttls", "starttls"},
		"implicit": {"--smtp-require-tls", "implicit"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startMailpit(t, "--smtp-tls-cert", certFile, "--smtp-tls-key", keyFile, tt.flag, "--smtp-auth-file", passwords(t))
			m := welcome(t, "ada@example.org")
			send := func(credentials string, pool *x509.CertPool) error {
				u, err := smtp.ParseURL("smtp://" + credentials + server.smtp + "?tls=" + tt.tls)
				if err != nil {
					t.Fatal(err)
				}
				_, err = sendFor(t, 10*time.Second, smtp.New(smtp.Config{URL: u, RootCAs: pool}), m)
				return err
			}
			for _, bad := range []struct {
				what, credentials string
				pool              *x509.CertPool
				says              string
			}{
				{"an unknown certificate", "ada:hunter2@", nil, "certificate"},
				{"a wrong password", "ada:hunter3@", pool, "credentials of SMTP_URL"},
				{"no password", "", pool, ""},
			} {
				err := send(bad.credentials, bad.pool)
				if err == nil || errors.Is(err, mail.ErrRefused) || !strings.Contains(err.Error(), bad.says) || strings.Contains(err.Error(), "hunter") {
					t.Errorf("%s: %v, want an error to retry after, with %q and without the password", bad.what, err, bad.says)
				}
			}
			if err := send("ada:hunter2@", pool); err != nil {
				t.Errorf("Send: %v", err)
			}
			if got := server.Messages(t, m.ID); len(got) != 1 {
				t.Errorf("%d messages arrived, want 1", len(got))
			}
		})
	}
}

func TestSenderHidesThePasswordThatAServerQuotes(t *testing.T) {
	t.Parallel()
	b64 := base64.StdEncoding.EncodeToString
	for _, quoted := range []string{"hunter2", b64([]byte("hunter2")), b64([]byte("\x00ada\x00hunter2"))} {
		server := startScript(t, &script{ehlo: []string{"AUTH PLAIN"}, replies: map[string]string{"AUTH": "535 5.7.8 wrong: " + quoted}})
		_, err := sendFor(t, 10*time.Second, newSender(t, "smtp://ada:hunter2@"+server.addr+"?tls=none"), welcome(t, "ada@example.org"))
		if err == nil || strings.Contains(err.Error(), quoted) || !strings.Contains(err.Error(), "5.7.8") {
			t.Errorf("Send: %v, want the server's words without %s", err, quoted)
		}
		if got := server.heard("MAIL"); len(got) != 0 {
			t.Errorf("it went on without being let in: %q", got)
		}
	}
}

func TestSenderPicksAWayToAuthenticate(t *testing.T) {
	t.Parallel()
	for offer, want := range map[string]string{
		"AUTH PLAIN LOGIN":               "AUTH PLAIN",
		"AUTH LOGIN":                     "AUTH LOGIN",
		"AUTH PLAIN CRAM-MD5":            "AUTH CRAM-MD5", // in the clear: one that does not show the password
		"AUTH PLAIN SCRAM-SHA-256 LOGIN": "AUTH SCRAM-SHA-256",
		"AUTH XOAUTH2":                   "",
		"SIZE 1000":                      "",
	} {
		server := startScript(t, &script{ehlo: []string{offer}, replies: map[string]string{"AUTH": "535 no"}})
		_, err := sendFor(t, 10*time.Second, newSender(t, "smtp://ada:hunter2@"+server.addr+"?tls=none"), welcome(t, "ada@example.org"))
		if err == nil || errors.Is(err, mail.ErrRefused) {
			t.Errorf("%s: %v, want an error to retry after", offer, err)
		}
		got := fmt.Sprint(server.heard("AUTH"))
		if want == "" && got != "[]" || !strings.HasPrefix(got, "["+want) {
			t.Errorf("%s: said %s, want %q", offer, got, want)
		}
	}
}
