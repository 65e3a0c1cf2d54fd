//go:build unix

package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"handoff/e2e/internal/house"
)

// storeFaults are those that take data away, or leave no room for it.
func storeFaults() []fault {
	stores := []string{"api", house.NATSServer}
	all := []fault{
		{
			name: "delete-nats-data", touches: stores, usual: true, most: time.Second,
			window: windowBucket, services: workers(), forgets: true, begin: deleteNATSData,
		},
		{name: "delete-api-db", touches: stores, usual: true, most: time.Second, forgets: true, begin: deleteStore},
		{
			name: "fill-stream", most: time.Second,
			window: windowKilled, services: []string{"tasker"}, begin: fillStream,
		},
		{name: "fill-bucket", touches: append(workers(), house.NATSServer), begin: fillBucket},
	}
	for service, stream := range consumers() {
		touches := []string{house.NATSServer, service}
		all = append(all,
			fault{
				name: "delete-consumer-" + service, touches: touches, least: short, most: long,
				begin: func(s *scene, _ *rand.Rand) (string, func()) {
					return s.starve([]string{service}, "delete consumer "+service+" of "+stream, func() error {
						return s.js.DeleteConsumer(s.t.Context(), stream, service)
					})
				},
			},
			fault{
				name: "delete-bucket-" + service, usual: service == "mailer", touches: touches, window: windowBucket, services: []string{service},
				begin: func(s *scene, _ *rand.Rand) (string, func()) { return s.deleteBucket(service) },
			},
			fault{
				name: "older-bucket-" + service, touches: touches, least: short, most: long,
				window: windowPower, services: []string{service},
				begin: func(s *scene, _ *rand.Rand) (string, func()) { return s.older("KV_JOBS_"+service, nil) },
			})
	}
	for stream, services := range streams() {
		touches := append([]string{house.NATSServer}, services...)
		all = append(all,
			fault{
				name: "delete-stream-" + stream, touches: touches, least: short, most: long,
				begin: func(s *scene, _ *rand.Rand) (string, func()) {
					return s.starve(services, "delete stream "+stream, func() error {
						return s.js.DeleteStream(s.t.Context(), stream)
					})
				},
			},
			fault{
				name: "older-stream-" + stream, touches: touches, usual: stream == "USERS", least: short, most: long,
				begin: func(s *scene, _ *rand.Rand) (string, func()) { return s.older(stream, services) },
			})
	}
	return byName(all)
}

// How long there is between a cut and what it takes away.
const (
	short = 500 * time.Millisecond
	long  = 2 * time.Second
)

// streams are the work streams with the services that work from each.
func streams() map[string][]string {
	return map[string][]string{"USERS": {"mailer", "notifier"}, "IMAGES": {"imager"}, "TASKS": {"tasker"}}
}

// consumers are the services with the stream that each works from.
func consumers() map[string]string {
	return map[string]string{"mailer": "USERS", "notifier": "USERS", "imager": "IMAGES", "tasker": "TASKS"}
}

// starve has work wait for some services, and takes something away from it before they come back. They are told to stop, so that
// nothing may be done twice for it.
func (s *scene) starve(services []string, what string, take func() error) (string, func()) {
	stopped := s.stop(services)
	return fmt.Sprintf("stopped %v", services), func() {
		s.must(take())
		s.say("did %s", what)
		for _, p := range stopped {
			p.Start()
		}
	}
}

// stop stops every process of some services.
func (s *scene) stop(services []string) (stopped []*house.Program) {
	for _, p := range s.running() {
		if slices.Contains(services, p.Name) {
			p.Stop()
			stopped = append(stopped, p)
		}
	}
	return stopped
}

// older has a stream lose what it has got since: its files are those of an earlier moment, as after a power loss. Meanwhile work waits
// for some services.
func (s *scene) older(name string, services []string) (string, func()) {
	nats := s.Program(house.NATSServer)
	dir := filepath.Join(s.Dir, "nats", "jetstream", "$G", "streams", name)
	kept := filepath.Join(s.t.TempDir(), name)
	stopped := s.stop(services)
	nats.Kill()
	s.must(os.CopyFS(kept, os.DirFS(dir)))
	nats.Start()
	return fmt.Sprintf("kept a copy of %s, stopped %v", name, services), func() {
		nats.Kill()
		s.must(os.RemoveAll(dir))
		s.must(os.CopyFS(dir, os.DirFS(kept)))
		nats.Start()
		s.say("put the older copy of %s back", name)
		for _, p := range stopped {
			p.Start()
		}
	}
}

func deleteNATSData(s *scene, _ *rand.Rand) (string, func()) {
	nats := s.Program(house.NATSServer)
	nats.Stop()
	s.must(os.RemoveAll(filepath.Join(s.Dir, "nats", "jetstream")))
	return "stopped the server and deleted its data", nats.Start
}

// deleteStore is done with NATS there: what was accepted and not handed over before is a loss that docs/delivery.md names.
func deleteStore(s *scene, _ *rand.Rand) (string, func()) {
	api := s.Program("api")
	s.awaitRelayed()
	api.Stop()
	s.must(os.Remove(s.store()))
	return "stopped the api and deleted api.db", api.Start
}

// fillStream has more tasks wait than their stream holds: it goes on for a while after nothing more has got into it.
func fillStream(s *scene, random *rand.Rand) (string, func()) {
	tasker := s.Program("tasker")
	tasker.Kill()
	const full, atMost, times = 80, 20 * time.Second, 4 // percent, and how often it is looked at without anything new
	begin, used, same, before := time.Now(), uint64(0), 0, uint64(0)
	sent := s.flood(random, func() bool {
		if stream, err := s.js.Stream(s.t.Context(), "TASKS"); err == nil {
			info := stream.CachedInfo()
			used = 100 * info.State.Bytes / uint64(info.Config.MaxBytes) //nolint:gosec // a limit is positive
			if same++; info.State.LastSeq != before {
				same, before = 0, info.State.LastSeq
			}
		}
		return used >= full && same >= times || time.Since(begin) > atMost
	})
	return fmt.Sprintf("killed the tasker and asked for %d tasks: TASKS is at %d %% and holds %d", sent, used, before), tasker.Start
}
