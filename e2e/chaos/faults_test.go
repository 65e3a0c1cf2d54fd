//go:build unix

package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"handoff/e2e/internal/house"
)

// The windows of docs/delivery.md in which an effect can be done twice.
const (
	windowKilled = "a process killed between the effect and its record"
	windowPaused = "a holder that stood still or was cut off"
	windowPower  = "records of the last moments before a power loss"
	windowBucket = "records not yet projected when their bucket was deleted"
)

// A fault is one kind of thing that goes wrong.
type fault struct {
	name    string
	touches []string // programs, of which no other fault of a round touches any; empty: all of them
	usual   bool     // part of the short form, which has one of each kind and every kill

	least, most time.Duration // how long it lasts

	window   string   // which it opens; empty: nothing may be done twice
	services []string // for whom
	instant  bool     // the window is the moment of its begin, whatever it lasts
	forgets  bool     // the history of ended jobs, and pictures, may be gone
	room     bool     // each store needs a disk of its own

	// begin injects it and says what it did; end, which is given, mends it.
	begin func(*scene, *rand.Rand) (did string, end func())
}

// A holder is given up after one AckWait and a half.
const (
	ackWait = 4 * time.Second
	longest = 7 * time.Second
)

func workers() []string { return []string{"mailer", "notifier", "imager", "tasker"} }

// processFaults are those that leave the stores alone.
func processFaults() []fault {
	all := []fault{
		{
			name: "kill-everything", usual: true, least: 0, most: time.Second,
			window: windowKilled, services: workers(), instant: true, begin: killEverything,
		},
		{name: "restart-everything", usual: true, begin: restartEverything},
		{
			name: "nats-away", touches: []string{house.NATSServer}, usual: true, least: ackWait + time.Second, most: 2 * ackWait,
			begin: func(s *scene, _ *rand.Rand) (string, func()) {
				nats := s.Program(house.NATSServer)
				nats.Stop()
				return "stopped " + pid(nats), nats.Start
			},
		},
	}
	for _, name := range slices.Concat([]string{"api", house.NATSServer}, workers()) {
		kill := fault{
			name: "kill-" + name, touches: []string{name}, usual: true, least: 0, most: 1500 * time.Millisecond,
			begin: func(s *scene, random *rand.Rand) (string, func()) { return kill(s.one(name, random)) },
		}
		freeze := fault{
			name: "freeze-" + name, touches: []string{name}, usual: true, least: ackWait + 500*time.Millisecond, most: longest,
			begin: func(s *scene, random *rand.Rand) (string, func()) { return freeze(s, s.one(name, random)) },
		}
		if slices.Contains(workers(), name) {
			kill.window, kill.services, kill.instant = windowKilled, []string{name}, true
			freeze.window, freeze.services = windowPaused, []string{name}
			cut := freeze
			cut.name, cut.usual = "cut-"+name, name == "mailer"
			cut.begin = func(s *scene, random *rand.Rand) (string, func()) { return cutOff(s, s.one(name, random)) }
			all = append(all, cut)
		}
		all = append(all, kill, freeze)
	}
	return all
}

// one gives one of the processes of a service.
func (s *scene) one(name string, random *rand.Rand) *house.Program {
	if name == s.second.Name && s.now.second && random.IntN(2) == 0 {
		return s.second
	}
	return s.Program(name)
}

func pid(p *house.Program) string { return fmt.Sprintf("%s, process %d", p.Name, p.PID()) }

// kill ends a process at once. It has ended when this returns.
func kill(p *house.Program) (string, func()) {
	did := "killed " + pid(p)
	p.Kill()
	return did, p.Start
}

// freeze stops a process where it stands. It stands when this returns.
func freeze(s *scene, p *house.Program) (string, func()) {
	p.Signal(syscall.SIGSTOP)
	house.Eventually(s.t, p.Name+" stands still", func() error {
		if runtime.GOOS != "linux" {
			return nil // the signal can't be caught
		}
		b, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(p.PID()), "stat"))
		if err != nil {
			return err
		}
		// After the name in its brackets: the state.
		if _, rest, _ := strings.Cut(string(b), ") "); !strings.HasPrefix(rest, "T") {
			return fmt.Errorf("it is %.3s", rest)
		}
		return nil
	})
	return "froze " + pid(p), func() { p.Signal(syscall.SIGCONT) }
}

// cutOff parts a worker, which goes on, from NATS. Its wire lets nothing through when this returns.
func cutOff(s *scene, p *house.Program) (string, func()) {
	s.wires[p].Cut()
	return "cut the wire between NATS and " + pid(p), s.wires[p].Mend
}

// killEverything is the machine's end, but for what the disk has not yet got.
func killEverything(s *scene, random *rand.Rand) (string, func()) {
	all := s.running()
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, p := range all {
		p.Signal(syscall.SIGKILL)
	}
	for _, p := range all {
		p.Exit(house.Patience)
	}
	return fmt.Sprintf("killed %d processes", len(all)), func() {
		for _, p := range all {
			p.Start()
		}
	}
}

// restartEverything is a deployment: every service is told to stop and started again, and nothing may be done twice for it.
func restartEverything(s *scene, random *rand.Rand) (string, func()) {
	all := slices.DeleteFunc(s.running(), func(p *house.Program) bool { return p.Name == house.NATSServer })
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, p := range all {
		p.Stop()
		p.Start()
	}
	return fmt.Sprintf("restarted %d processes one after the other", len(all)), func() {}
}
