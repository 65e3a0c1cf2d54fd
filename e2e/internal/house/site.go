package house

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A Site is a running Handoff in one of its forms, with a data directory and addresses of its own.
type Site struct {
	*Client
	NATSURL   string
	SampleURL string // of the picture that the imager may always fetch
	Dir       string // DATA_DIR of everything
	Programs  []*Program

	house  *House
	env    []string          // of every service that is a process
	health map[string]string // readyz of each service that is a process
}

// Together is everything in one process, not yet started. env goes after what it needs, and wins.
func (h *House) Together(t testing.TB, env ...string) *Site {
	t.Helper()
	addr, nats := h.Addr(t), h.Addr(t)
	s := h.site(t, addr, nats)
	s.Programs = []*Program{h.Program(t, "handoff", s.Dir, append([]string{
		"ADDR=" + addr, "NATS_ADDR=" + nats, "DATA_DIR=" + s.Dir, storeSize,
	}, env...)...)}
	return s
}

// storeSize keeps many sites on one disk from claiming all of it.
const storeSize = "NATS_MAX_STORE=268435456"

// syncInterval tells the api what the server below is told. Records stay for twice as long as NATS may take to sync, at least a minute.
const syncInterval = "NATS_SYNC_INTERVAL=1s"

// Apart is a NATS server and the five services, not yet started. env goes to every service.
func (h *House) Apart(t testing.TB, env ...string) *Site {
	t.Helper()
	addr, nats := h.Addr(t), h.Addr(t)
	s := h.site(t, addr, nats)
	host, port, _ := net.SplitHostPort(nats)
	conf := fmt.Sprintf("server_name: e2e\nhost: %s\nport: %s\njetstream { store_dir: %q, sync_interval: 1s }\n",
		host, port, filepath.Join(s.Dir, "nats"))
	if err := os.WriteFile(filepath.Join(s.Dir, "nats.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Programs = append(s.Programs, h.Program(t, NATSServer, s.Dir))
	s.env = append([]string{
		"NATS_URL=" + s.NATSURL, "DATA_DIR=" + s.Dir, storeSize, syncInterval, "ADDR=" + addr, "SAMPLES_URL=http://" + addr, "IMAGE_ALLOW=" + addr,
	}, env...)
	for _, name := range Services() {
		s.Programs = append(s.Programs, s.service(t, name, name))
	}
	return s
}

// Second gives one more process of a service that runs apart, not yet started. It is none of the site's Programs.
func (s *Site) Second(t testing.TB, name string) *Program {
	t.Helper()
	return s.service(t, name, name+" 2")
}

// service makes a process that Ready knows under its label.
func (s *Site) service(t testing.TB, name, label string) *Program {
	t.Helper()
	health := s.house.Addr(t)
	s.health[label] = "http://" + health + "/readyz"
	return s.house.Program(t, name, s.Dir, append([]string{"HEALTH_ADDR=" + health}, s.env...)...)
}

func (h *House) site(t testing.TB, addr, nats string) *Site {
	t.Helper()
	return &Site{
		Client: At(t, "http://"+addr), NATSURL: "nats://" + nats, SampleURL: "http://" + addr + "/samples/landscape.jpg",
		Dir: t.TempDir(), house: h, health: map[string]string{},
	}
}

// Program gives one of the site's programs.
func (s *Site) Program(name string) *Program {
	s.t.Helper()
	for _, p := range s.Programs {
		if p.Name == name {
			return p
		}
	}
	s.t.Fatalf("there is no %s here", name)
	return nil
}

// Start starts everything and waits until it takes work.
func (s *Site) Start() *Site {
	s.t.Helper()
	for _, p := range s.Programs {
		p.Start()
	}
	s.AwaitReady()
	return s
}

// AwaitReady waits until everything takes work. What ends meanwhile fails the test.
func (s *Site) AwaitReady() {
	s.t.Helper()
	Eventually(s.t, "a site that is ready", func() error {
		for _, p := range s.Programs {
			if !p.Running() {
				s.t.Fatalf("%s has ended by itself with exit code %d", p.Name, p.cmd.ProcessState.ExitCode())
			}
		}
		for _, p := range s.Programs {
			if s.health[p.Name] == "" {
				continue
			}
			if err := s.Ready(p.Name); err != nil {
				return err
			}
		}
		a, err := s.Try(s.t.Context(), http.MethodGet, "/readyz", "")
		return notReady("api", a, err)
	})
}

// Ready asks a service that is a process of its own whether it takes work; nil when it does.
func (s *Site) Ready(service string) error {
	health := *s.Client
	health.URL = strings.TrimSuffix(s.health[service], "/readyz")
	a, err := health.Try(context.WithoutCancel(s.t.Context()), http.MethodGet, "/readyz", "")
	return notReady(service, a, err)
}

func notReady(name string, a *Answer, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("%s: %d %s", name, a.Status, a.Body)
	}
	return nil
}

// Log gives everything that every program has logged.
func (s *Site) Log() string {
	var all strings.Builder
	for _, p := range s.Programs {
		all.WriteString(p.Stderr.String())
	}
	return all.String()
}
