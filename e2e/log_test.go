package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"handoff/e2e/internal/house"
)

// The demo's lines are part of the interface: people and scripts look for them.
func TestLogHasTheDemosLines(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t, "LOG_FORMAT=text").Start()
	var jobs []string
	jobs = append(jobs,
		notified(t, s, `{"email":"test@example.com","username":"testuser"}`),
		s.Picture(s.SampleURL, `["resize","compress","watermark"]`),
		s.Request("/async-task/", `{"duration_seconds":0.1}`).JobID,
	)
	for _, id := range jobs {
		s.AwaitState(id, "succeeded")
	}
	handoff := s.Program("handoff")
	handoff.Stop()

	log := handoff.Stderr.String()
	for _, line := range []string{`msg=Starting`, `msg="Serving HTTP" service=api url=` + s.URL, `msg=Stopped`} {
		if !strings.Contains(log, line) {
			t.Errorf("the log does not have %s:\n%s", line, log)
		}
	}
	for _, level := range []string{"level=WARN", "level=ERROR", "panic"} {
		if strings.Contains(log, level) {
			t.Errorf("the log of a run in which nothing was wrong has %s:\n%s", level, log)
		}
	}
	golden(t, "demo.log", demoLines(log, s, jobs))
}

func notified(t *testing.T, s *house.Site, body string) string {
	t.Helper()
	var user house.Accepted
	s.Post("/users/with-notifications/", body).Is(201).JSON(&user)
	return user.JobID
}

var timeStamp = regexp.MustCompile(`^time=\S+ `)

// demoLines are those about a job, service by service, with what differs from run to run replaced.
func demoLines(log string, s *house.Site, jobs []string) string {
	replace := []string{s.URL, "http://<addr>", s.Dir, "<data>"}
	for i, id := range jobs {
		replace = append(replace, id, []string{"<user-job>", "<picture-job>", "<task-job>"}[i])
	}
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, " job=") {
			lines = append(lines, strings.NewReplacer(replace...).Replace(timeStamp.ReplaceAllString(line, "")))
		}
	}
	service := regexp.MustCompile(`service=\w+`)
	slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(service.FindString(a), service.FindString(b)) })
	return strings.Join(lines, "")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil { //nolint:gosec // it is no secret
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What is printed for people is where things are, and nothing else.
func TestGreetingSaysWhereThingsAre(t *testing.T) {
	t.Parallel()
	s := home(t).Together(t).Start()
	house.Eventually(t, "the greeting", func() error {
		if out := s.Program("handoff").Stdout.String(); strings.Count(out, "\n") < 5 {
			return os.ErrNotExist
		}
		return nil
	})
	s.Program("handoff").Stop()
	addr := strings.TrimPrefix(s.URL, "http://")
	got := strings.NewReplacer(addr, "<addr>", s.NATSURL, "<nats>", s.Dir, "<data>").Replace(s.Program("handoff").Stdout.String())
	golden(t, "greeting.txt", got)
}
