//go:build unix

package chaos_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"handoff/e2e/internal/house"
)

// autopsy keeps what there is to see of a site that is not as it should be: of some jobs that have not ended what everybody says of
// them, and each process's log, with what its goroutines do. It ends the services. With -artifacts the files are there afterwards.
func (s *scene) autopsy() {
	ctx, cancel := context.WithTimeout(s.t.Context(), house.Patience)
	defer cancel()
	var report strings.Builder
	see := func(path string) {
		a, err := s.Try(ctx, http.MethodGet, path, "")
		if err != nil {
			_, _ = fmt.Fprintf(&report, "%s: %v\n", path, err)
			return
		}
		_, _ = fmt.Fprintf(&report, "%s: %d %s\n", path, a.Status, a.Body)
	}
	see("/health")
	for _, state := range []string{"queued", "running"} {
		var jobs []house.Job
		if _, err := s.page("/jobs/?limit=3&state="+state, &jobs); err != nil {
			_, _ = fmt.Fprintf(&report, "%s jobs: %v\n", state, err)
		}
		for _, j := range jobs {
			see("/jobs/" + j.ID)
			for _, task := range j.Tasks {
				s.seeRecord(ctx, &report, task.Service, j.ID)
			}
		}
	}
	for service, stream := range consumers() {
		if c, err := s.js.Consumer(ctx, stream, service); err == nil {
			_, _ = fmt.Fprintf(&report, "consumer %s of %s: %+v\n", service, stream, *c.CachedInfo())
		}
		for _, name := range []string{stream, "KV_JOBS_" + service} {
			if st, err := s.js.Stream(ctx, name); err == nil {
				_, _ = fmt.Fprintf(&report, "stream %s: %+v\n", name, st.CachedInfo().State)
			}
		}
	}
	s.keep("report", report.String())
	for _, p := range s.all() {
		if p.Running() && p.Name != house.NATSServer {
			p.Signal(syscall.SIGQUIT) // it writes what every goroutine does, and ends
			p.Exit(house.Patience)
		}
		s.keep(fmt.Sprint(p.Name, "-", p.PID()), p.Stderr.String())
	}
}

func (s *scene) seeRecord(ctx context.Context, report *strings.Builder, service, job string) {
	bucket, err := s.js.KeyValue(ctx, "JOBS_"+service)
	if err != nil {
		_, _ = fmt.Fprintf(report, "bucket of the %s: %v\n", service, err)
		return
	}
	e, err := bucket.Get(ctx, job)
	if err != nil {
		_, _ = fmt.Fprintf(report, "record of the %s for %s: %v\n", service, job, err)
		return
	}
	_, _ = fmt.Fprintf(report, "record of the %s for %s, revision %d: %s\n", service, job, e.Revision(), e.Value())
}

// keep writes a file for whoever looks into a failure.
func (s *scene) keep(name, text string) {
	name = filepath.Join(s.t.ArtifactDir(), fmt.Sprintf("round-%d-%s.log", s.now.number, name))
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		s.t.Error(err)
		return
	}
	s.say("kept %s", name)
}
