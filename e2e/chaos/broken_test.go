//go:build unix

package chaos_test

import (
	"fmt"
	"net/smtp"
	"slices"
	"testing"

	"handoff/e2e/internal/house"
)

// The suite finds what a broken worker does: one letter sent twice, and one never. Between real processes, so that a loss anywhere on
// the way from an answer to the verdict would be noticed.
func TestSuiteFindsWhatABrokenWorkerDoes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes long; run without -short")
	}
	s := newScene(t, home(t), false, nil)
	s.now = round{number: 1}
	for range 2 {
		s.ask(1, s.registration("/users/with-notifications/", "mailer", "notifier"))
	}
	s.ask(1, task(0))
	if _, err := s.settle(house.Patience); err != nil {
		t.Fatal(err)
	}
	s.must(s.collect())
	if found, wrong := s.judge(), s.wrong(); len(found)+len(wrong) > 0 {
		t.Fatalf("all is well, and it finds %+v, %q", found, wrong)
	}

	twice := s.book.accepted[0]
	letter := fmt.Sprintf("Message-ID: <%s.mailer@localhost>\r\n\r\nHello again\r\n", twice.job)
	s.must(smtp.SendMail(s.mailbox.Addr, nil, "house@example.org", []string{twice.email}, []byte(letter)))
	s.Program("mailer").Kill()
	s.ask(1, s.registration("/users/", "mailer"))
	lost := s.book.accepted[len(s.book.accepted)-1]

	s.must(s.collect())
	var got []string
	for _, f := range s.judge() {
		got = append(got, fmt.Sprint(f.Kind, " ", f.Job, " ", f.Allowed()))
	}
	slices.Sort(got)
	want := []string{"effect done twice " + twice.job + " false", "never ended " + lost.job + " false"}
	if !slices.Equal(got, want) {
		t.Errorf("it finds %q, want %q", got, want)
	}
}
