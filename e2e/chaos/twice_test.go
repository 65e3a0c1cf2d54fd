//go:build unix

package chaos_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/e2e/internal/house"
)

// laterFaults put an older api.db back, and take one store away after the other, with the api whole in between.
func laterFaults() []fault {
	stores := []string{"api", house.NATSServer}
	all := []fault{
		{name: "older-api-db", touches: stores, least: short, most: long, forgets: true, begin: olderStore},
		{
			name: "delete-nats-data-then-api-db", touches: stores, most: time.Second,
			window: windowBucket, services: workers(), forgets: true,
			begin: func(s *scene, random *rand.Rand) (string, func()) { return s.both(random, deleteNATSData, deleteStore) },
		},
		{
			name: "delete-api-db-then-nats-data", touches: stores, most: time.Second,
			window: windowBucket, services: workers(), forgets: true,
			begin: func(s *scene, random *rand.Rand) (string, func()) { return s.both(random, deleteStore, deleteNATSData) },
		},
	}
	for _, service := range workers() {
		all = append(all, fault{
			name: "delete-bucket-" + service + "-then-api-db", touches: append([]string{service}, stores...), most: time.Second,
			window: windowBucket, services: []string{service}, forgets: true,
			begin: func(s *scene, random *rand.Rand) (string, func()) {
				return s.both(random, func(s *scene, _ *rand.Rand) (string, func()) { return s.deleteBucket(service) }, deleteStore)
			},
		})
	}
	return all
}

// both does one thing after the other. In between everything is as it should be, and says so.
func (s *scene) both(random *rand.Rand, first, second func(*scene, *rand.Rand) (string, func())) (string, func()) {
	did, end := first(s, random)
	end()
	s.awaitWhole()
	then, end := second(s, random)
	return did + "; when all was well, " + then, end
}

// awaitWhole waits until the api has put back what was lost, and says so. Workers may be frozen or cut off meanwhile.
func (s *scene) awaitWhole() {
	house.Eventually(s.t, "an api that has put back what was lost", func() error {
		for _, service := range workers() {
			bucket, err := s.js.KeyValue(s.t.Context(), "JOBS_"+service)
			if err == nil {
				_, err = bucket.Get(s.t.Context(), "_open")
			}
			if err != nil {
				return fmt.Errorf("the bucket of the %s: %w", service, err)
			}
		}
		return s.Ready("api")
	})
	s.awaitRelayed()
}

func (s *scene) deleteBucket(service string) (string, func()) {
	err := s.js.DeleteStream(s.t.Context(), "KV_JOBS_"+service)
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		s.must(err)
	}
	return "deleted bucket JOBS_" + service + " while it is worked with", func() {}
}

// olderStore has the api begin again with a copy of its file, as with a backup. What was accepted since is in NATS.
func olderStore(s *scene, _ *rand.Rand) (string, func()) {
	api := s.Program("api")
	kept := filepath.Join(s.t.TempDir(), "api.db")
	api.Stop()
	s.must(copyFile(kept, s.store()))
	api.Start()
	return "kept a copy of api.db", func() {
		s.awaitRelayed()
		api.Stop()
		s.must(copyFile(s.store(), kept))
		api.Start()
		s.say("put the older copy of api.db back")
	}
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from) //nolint:gosec // ours
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.Create(to)         //nolint:gosec // ours
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// fillBucket leaves some service no room for its records, until trim has taken away what is not needed.
func fillBucket(s *scene, random *rand.Rand) (string, func()) {
	ctx, service := s.t.Context(), workers()[random.IntN(len(workers()))]
	bucket, err := s.js.Stream(ctx, "KV_JOBS_"+service)
	s.must(err)
	before := bucket.CachedInfo().State.Bytes
	for _, size := range []int{16 << 10, 1 << 10, 64} {
		filling := slices.Repeat([]byte{'x'}, size)
		for i := 0; ; i++ {
			_, err := s.js.Publish(ctx, fmt.Sprintf("$KV.JOBS_%s.filling-%d-%d-%d", service, s.now.number, size, i), filling)
			var full *jetstream.APIError
			if errors.As(err, &full) && full.Code == http.StatusServiceUnavailable {
				break
			}
			s.must(err)
		}
	}
	info, err := bucket.Info(ctx)
	s.must(err)
	return fmt.Sprintf("filled JOBS_%s: of %d bytes %d were used, now %d", service, info.Config.MaxBytes, before, info.State.Bytes), func() {}
}
