//go:build unix

package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"time"

	"handoff/e2e/internal/house"
)

// roomBytes is how large a disk of its own is: more than either store ever takes here.
const roomBytes = 256 << 20

// diskFaults leave a store no room on its disk.
func diskFaults() []fault {
	return []fault{
		{
			name: "full-disk-api", touches: []string{"api"}, room: true, least: time.Second, most: 3 * time.Second, begin: fillStoresDisk,
		},
		{
			name: "full-disk-nats", touches: []string{house.NATSServer}, room: true, least: time.Second, most: 3 * time.Second, begin: fillNATSDisk,
		},
	}
}

// fillStoresDisk leaves the api no room, and asks it until it says so. In half of all cases it is killed then, and has to start
// without any.
func fillStoresDisk(s *scene, random *rand.Rand) (string, func()) {
	free := house.FillDisk(s.t, filepath.Dir(s.store()))
	before := s.book.refusals(http.StatusInsufficientStorage)
	begin := time.Now()
	sent := s.flood(random, func() bool {
		return s.book.refusals(http.StatusInsufficientStorage) > before || time.Since(begin) > 10*time.Second
	})
	did := fmt.Sprintf("filled the api's disk and asked %d times more", sent)
	if random.IntN(2) == 0 {
		api := s.Program("api")
		api.Kill()
		api.Start()
		did += ", then killed and started it"
	}
	return did, func() {
		free()
		s.say("%d requests were answered with 507", s.book.refusals(http.StatusInsufficientStorage)-before)
	}
}

// fillNATSDisk leaves the server no room. To a stream that it could not write to it writes no more until it is started again, as its
// health check asks for.
func fillNATSDisk(s *scene, _ *rand.Rand) (string, func()) {
	free := house.FillDisk(s.t, filepath.Join(s.Dir, "nats"))
	return "filled the disk of NATS", func() {
		free()
		nats := s.Program(house.NATSServer)
		nats.Stop()
		nats.Start()
	}
}
