//go:build unix

package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"handoff/e2e/internal/house"
)

// storeFaults are those that take data away, or leave no room for it.
func storeFaults() []fault {
	nats := []string{house.NATSServer}
	stores := []string{"api", house.NATSServer}
	all := []fault{
		{
			name: "delete-nats-data", touches: stores, most: time.Second,
			window: windowBucket, services: workers(), forgets: true, begin: deleteNATSData,
		},
		{name: "delete-api-db", touches: stores, most: time.Second, forgets: true, begin: deleteStore},
		{name: "fill-stream", most: time.Second, begin: fillStream},
	}
	for service, stream := range consumers() {
		all = append(all,
			fault{
				name: "delete-consumer-" + service, touches: nats,
				begin: func(s *scene, _ *rand.Rand) (string, func()) {
					s.must(s.js.DeleteConsumer(s.t.Context(), stream, service))
					return "deleted consumer " + service + " of " + stream, func() {}
				},
			},
			fault{
				name: "delete-bucket-" + service, touches: nats, window: windowBucket, services: []string{service},
				begin: func(s *scene, _ *rand.Rand) (string, func()) { return s.deleteStream("KV_JOBS_" + service) },
			},
			fault{
				name: "older-bucket-" + service, touches: nats, least: 500 * time.Millisecond, most: 2 * time.Second,
				window: windowPower, services: []string{service},
				begin: func(s *scene, _ *rand.Rand) (string, func()) { return s.older("KV_JOBS_" + service) },
			})
	}
	for _, stream := range streams() {
		all = append(all,
			fault{
				name: "delete-stream-" + stream, touches: nats,
				begin: func(s *scene, _ *rand.Rand) (string, func()) { return s.deleteStream(stream) },
			},
			fault{
				name: "older-stream-" + stream, touches: nats, least: 500 * time.Millisecond, most: 2 * time.Second,
				begin: func(s *scene, _ *rand.Rand) (string, func()) { return s.older(stream) },
			})
	}
	return byName(all)
}

func streams() []string { return []string{"USERS", "IMAGES", "TASKS"} }

// consumers are the services with the stream that each works from.
func consumers() map[string]string {
	return map[string]string{"mailer": "USERS", "notifier": "USERS", "imager": "IMAGES", "tasker": "TASKS"}
}

// deleteStream takes a stream away from under the running server.
func (s *scene) deleteStream(name string) (string, func()) {
	s.must(s.js.DeleteStream(s.t.Context(), name))
	return "deleted stream " + name, func() {}
}

// older has a stream lose what it has got since: its files are those of an earlier moment, as after a power loss.
func (s *scene) older(name string) (string, func()) {
	nats := s.Program(house.NATSServer)
	dir := filepath.Join(s.Dir, "nats", "jetstream", "$G", "streams", name)
	kept := filepath.Join(s.t.TempDir(), name)
	nats.Kill()
	s.must(os.CopyFS(kept, os.DirFS(dir)))
	nats.Start()
	return "kept a copy of " + name, func() {
		nats.Kill()
		s.must(os.RemoveAll(dir))
		s.must(os.CopyFS(dir, os.DirFS(kept)))
		nats.Start()
		s.say("put the older copy of %s back", name)
	}
}

func deleteNATSData(s *scene, _ *rand.Rand) (string, func()) {
	nats := s.Program(house.NATSServer)
	nats.Stop()
	s.must(os.RemoveAll(filepath.Join(s.Dir, "nats")))
	return "stopped the server and deleted its data", nats.Start
}

// deleteStore is done with NATS there: what was accepted and not handed over before is a loss that docs/delivery.md names.
func deleteStore(s *scene, _ *rand.Rand) (string, func()) {
	api := s.Program("api")
	s.awaitRelayed()
	api.Stop()
	s.must(os.Remove(filepath.Join(s.Dir, "api.db")))
	return "stopped the api and deleted api.db", api.Start
}

// fillStream has more tasks wait than their stream holds.
func fillStream(s *scene, random *rand.Rand) (string, func()) {
	tasker := s.Program("tasker")
	tasker.Kill()
	sent := s.flood(random, 4*time.Second)
	used := 0
	if stream, err := s.js.Stream(s.t.Context(), "TASKS"); err == nil {
		info := stream.CachedInfo()
		used = int(100 * info.State.Bytes / uint64(info.Config.MaxBytes)) //nolint:gosec // a limit is positive
	}
	return fmt.Sprintf("killed the tasker and asked for %d tasks: TASKS is at %d %%", sent, used), tasker.Start
}
