//go:build unix

package chaos_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/e2e/internal/house"
	"handoff/e2e/internal/ledger"
	"handoff/e2e/internal/sink"
)

// Everything outside takes a moment, so that a process can be killed between an effect and its record.
const (
	mailTakes    = 40 * time.Millisecond
	noticeTakes  = 15 * time.Millisecond
	pictureTakes = 60 * time.Millisecond
)

// A scene is a site with its far sides, and what is known of it.
type scene struct {
	*house.Site
	t       *testing.T
	second  *house.Program // mailer
	js      jetstream.JetStream
	mailbox *sink.Mailbox
	channel *sink.Channel
	gallery *sink.Gallery
	wires   map[*house.Program]*sink.Wire // between a worker and NATS

	book    *book
	now     round
	began   time.Time // of the round
	faults  []ledger.Fault
	jobs    map[string]*ledger.Job
	effects []ledger.Effect
	byEmail map[string]string // job of a user
	notes   map[string]bool   // what does not fit
	told    map[string]bool   // findings

	readLetters, readPosts int
	readLogs               map[string]int
	pictures               map[string]bool
}

// newScene starts a site. rooms gives each store a disk of its own; env goes to every service.
func newScene(t *testing.T, h *house.House, rooms bool, env []string) *scene {
	t.Helper()
	s := &scene{
		t: t, book: newBook(), jobs: map[string]*ledger.Job{}, byEmail: map[string]string{}, notes: map[string]bool{},
		told: map[string]bool{}, readLogs: map[string]int{}, pictures: map[string]bool{},
		wires:   map[*house.Program]*sink.Wire{},
		mailbox: sink.NewMailbox(t, mailTakes), channel: sink.NewChannel(t, noticeTakes), gallery: sink.NewGallery(t, pictureTakes),
	}
	s.Site = h.Apart(t, append([]string{
		"MAIL_DRIVER=smtp", "SMTP_URL=smtp://" + s.mailbox.Addr + "?tls=none", "DISCORD_WEBHOOK_URL=" + s.channel.URL,
		"IMAGE_ALLOW=" + s.gallery.Addr,
		"NATS_MAX_STORE=67108864", // the least there is: what is kept small is reached soon
	}, env...)...)
	s.Program("api").Setenv("DATA_DIR=" + filepath.Dir(s.store()))
	if rooms {
		s.must(house.GiveRoom(t, filepath.Dir(s.store()), roomBytes))
		s.must(house.GiveRoom(t, filepath.Join(s.Dir, "nats"), roomBytes))
	}
	s.second = s.Second(t, "mailer")
	for _, p := range append(slices.Clone(s.Programs), s.second) {
		if slices.Contains(workers(), p.Name) {
			s.wires[p] = sink.NewWire(t, strings.TrimPrefix(s.NATSURL, "nats://"))
			p.Setenv("NATS_URL=nats://" + s.wires[p].Addr)
		}
	}
	nc, err := nats.Connect(s.NATSURL, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if s.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	s.Start()
	return s
}

// store is the api's file.
func (s *scene) store() string { return filepath.Join(s.Dir, "api", "api.db") }

// end kills what runs; the scene is over.
func (s *scene) end() {
	for _, p := range s.running() {
		p.Kill()
	}
}

// all gives the processes that belong to the round.
func (s *scene) all() []*house.Program {
	if s.now.second {
		return append(slices.Clone(s.Programs), s.second)
	}
	return s.Programs
}

func (s *scene) running() []*house.Program {
	return slices.DeleteFunc(slices.Clone(s.all()), func(p *house.Program) bool { return !p.Running() })
}

// play goes through one round and gives what came of it.
func (s *scene) play(r round, limit time.Duration) ledger.Round {
	s.now = r
	if r.second {
		s.second.Start()
		house.Eventually(s.t, "the second mailer is ready", func() error { return s.Ready("mailer 2") })
	}
	s.began = time.Now()
	mailers := map[bool]string{false: "one mailer", true: "two mailers"}[r.second]
	s.say("%s, %v", mailers, r.faults)
	before := len(s.book.accepted)
	enough := s.load(r)
	s.inject(r)
	enough()
	mended := time.Now()
	recovered, err := s.settle(limit)
	result := ledger.Round{Accepted: len(s.book.accepted) - before, Settled: !recovered.IsZero()}
	if result.Settled {
		result.Recovery = recovered.Sub(mended)
	}
	if err != nil {
		s.note("round %d does not settle: %v", r.number, err)
	}
	if err := s.collect(); err != nil {
		s.note("round %d can't be looked at: %v", r.number, err)
	}
	for _, f := range r.faults {
		result.Faults = append(result.Faults, f.name)
	}
	if r.second && s.second.Running() {
		s.second.Stop()
	}
	s.say("%d accepted, %d without an answer, refused %v, recovered in %s, settled after %s", result.Accepted,
		s.book.unknown[r.number], s.book.refused, result.Recovery.Round(100*time.Millisecond), time.Since(mended).Round(100*time.Millisecond))
	return result
}

// A moment is when something is done to the site.
type moment struct {
	at time.Duration
	do func()
}

// inject does what the round has in store, each at its moment, and is over when everything is mended.
func (s *scene) inject(r round) {
	random := rand.New(rand.NewPCG(r.seed, 1<<32)) //nolint:gosec // it need not be secret
	var moments []moment
	for _, f := range r.faults {
		var mend func()
		var from time.Time
		moments = append(moments,
			moment{f.at, func() {
				from = time.Now()
				var did string
				did, mend = f.begin(s, random)
				s.say("fault %s: %s", f.name, did)
			}},
			moment{f.at + f.lasts, func() {
				mend()
				to := time.Now()
				if f.instant {
					to = from
				}
				s.faults = append(s.faults, ledger.Fault{
					Name: f.name, Round: r.number, From: from, To: to, Window: f.window, Services: f.services, Forgets: f.forgets,
				})
				s.say("fault %s is over", f.name)
			}})
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	for _, m := range moments {
		<-time.After(time.Until(s.began.Add(m.at)))
		m.do()
	}
	<-time.After(300 * time.Millisecond) // some more requests, with everything there
}

// judge gives what was not told yet.
func (s *scene) judge() (fresh []ledger.Finding) {
	facts := ledger.Facts{Effects: s.effects, Faults: s.faults, Unknown: s.book.unknown}
	for _, j := range s.jobs {
		facts.Jobs = append(facts.Jobs, *j)
	}
	for _, f := range ledger.Judge(facts) {
		key := fmt.Sprint(f.Kind, f.Job, f.Service, f.Round, f.Detail)
		if !s.told[key] {
			s.told[key] = true
			fresh = append(fresh, f)
		}
	}
	return fresh
}

// say logs what happens, with the round's clock.
func (s *scene) say(format string, args ...any) {
	s.t.Helper()
	s.t.Logf("round %d +%.1fs: %s", s.now.number, time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// note keeps something that does not fit, once.
func (s *scene) note(format string, args ...any) { s.notes[fmt.Sprintf(format, args...)] = true }

// wrong gives and forgets what was noted, and what clients were answered that nobody should get.
func (s *scene) wrong() []string {
	all := slices.Concat(slices.Sorted(maps.Keys(s.notes)), s.book.wrong)
	clear(s.notes)
	s.book.wrong = nil
	return all
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func byName(all []fault) []fault {
	slices.SortFunc(all, func(a, b fault) int { return cmp.Compare(a.name, b.name) })
	return all
}
