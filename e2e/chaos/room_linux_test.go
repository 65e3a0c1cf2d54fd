package chaos_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"handoff/e2e/internal/house"
)

// roomBytes is how large a disk of its own is: more than either store ever takes here.
const roomBytes = 256 << 20

// giveRoom makes dir a disk of its own, which can be filled without harm to anybody else.
func giveRoom(t *testing.T, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", roomBytes)); err != nil {
		return fmt.Errorf("mount a disk of our own: %w", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }) // the folder goes with the test
	return nil
}

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
	free := s.fillDisk(filepath.Dir(s.store()))
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

// fillNATSDisk leaves the server no room. It then shuts its JetStream down until somebody starts it again.
func fillNATSDisk(s *scene, _ *rand.Rand) (string, func()) {
	free := s.fillDisk(filepath.Join(s.Dir, "nats"))
	return "filled the disk of NATS", func() {
		free()
		nats := s.Program(house.NATSServer)
		if _, err := s.js.AccountInfo(s.t.Context()); err != nil {
			s.say("JetStream does not answer (%v): started the server again", err)
			nats.Stop()
			nats.Start()
		}
	}
}

// fillDisk fills the disk of a folder, to the last page.
func (s *scene) fillDisk(dir string) (free func()) {
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name) //nolint:gosec // it is ours
	s.must(err)
	for _, size := range []int{1 << 20, 1 << 12} {
		for chunk := slices.Repeat([]byte{1}, size); err == nil; {
			_, err = f.Write(chunk)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			s.t.Fatal(err)
		}
		err = nil
	}
	s.must(f.Close())
	return func() { s.must(os.Remove(name)) }
}
