package health_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/health"
	"handoff/services/api/internal/web"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// parts answers for everything but NATS.
type parts struct {
	full    string
	held    string
	pending uint64
	err     error
	store   error
}

// rows is the store of parts, which has an error of its own.
type rows struct{ *parts }

func (r rows) Err() error { return r.store }

func (p *parts) Size() (bolt.Size, error)      { return bolt.Size{Bytes: 4096, Users: 2, Jobs: 3}, nil }
func (p *parts) Waiting(string) (int64, int64) { return 5, 50 }
func (p *parts) Pending() uint64               { return p.pending }
func (p *parts) Err() error                    { return p.err }
func (p *parts) HeldUpBy(name string) string {
	if name == stream.Tasks {
		return p.held
	}
	return ""
}
func (p *parts) Full(name string) string {
	if name == stream.Images {
		return p.full
	}
	return ""
}

func sources(t *testing.T, server *natstest.Server, p *parts) health.Sources {
	t.Helper()
	nc := server.Connect()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return health.Sources{
		NATS: nc, JetStream: js, Store: rows{p}, Relay: p, Projection: p, Streams: p, Ready: func() error { return nil },
	}
}

func TestReportOfAWholeSystem(t *testing.T) {
	t.Parallel()
	h := sources(t, natstest.Run(t), &parts{}).Report(t.Context())
	if h.Status != web.Healthy || len(h.Reasons) != 0 || !h.NATS.Connected || h.NATS.RTT == "" {
		t.Errorf("the report is %+v", h)
	}
	if h.Store.Users != 2 || h.Store.Jobs != 3 || h.Store.Bytes != 4096 || h.Store.Unrelayed != 5*int64(len(stream.WorkStreams())) {
		t.Errorf("the store is %+v", h.Store)
	}
	names := map[string]bool{}
	for _, s := range h.Streams {
		names[s.Name] = s.MaxBytes > 0
	}
	if !names[stream.Users] || !names[stream.BucketStream(stream.Bucket("mailer"))] || !names["OBJ_"+stream.Pictures] {
		t.Errorf("streams are %+v", h.Streams)
	}
}

type roster struct{}

func (roster) HeldUpBy() string  { return "a stranger" }
func (roster) UsersFull() string { return "no room for one more" }
func (roster) Err() error        { return errors.New("written again") }

func TestReportSaysWhatRecordsNeeds(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	s := sources(t, server, &parts{})
	s.Records = roster{}
	info, err := s.JetStream.Stream(t.Context(), stream.Records)
	if err != nil {
		t.Fatal(err)
	}
	const size = 200_000
	for taken := int64(0); taken < info.CachedInfo().Config.MaxBytes/100*81; taken += size {
		if _, err := s.JetStream.Publish(t.Context(), "record.users", make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	all := strings.Join(s.Report(t.Context()).Reasons, "\n")
	for _, want := range []string{
		"RECORDS is over 80 %", "RECORDS is held up: a stranger", "No more users are accepted: no room for one more", "RECORDS lacks users: written again",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in:\n%s", want, all)
		}
	}
}

func TestReportSaysWhatIsAmiss(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	p := &parts{full: "too many wait", held: "stream is full", pending: 1 << 20, err: errors.New("no room"), store: errors.New("disk full")}
	s := sources(t, server, p)
	h := s.Report(t.Context())
	all := strings.Join(h.Reasons, "\n")
	for _, want := range []string{"IMAGES: too many wait", "TASKS is held up: stream is full", "1048576 messages", "no room", "write to the store has failed: disk full"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in:\n%s", want, all)
		}
	}
	if h.Status != web.Degraded {
		t.Errorf("status is %s", h.Status)
	}
	s.Ready = func() error { return errors.New("not yet") }
	if h := s.Report(t.Context()); h.Status != web.Starting {
		t.Errorf("status is %s before it is ready", h.Status)
	}
	server.Stop()
	for s.NATS.IsConnected() && t.Context().Err() == nil {
		<-time.After(time.Millisecond) // the client notices a little later
	}
	if h := s.Report(t.Context()); h.NATS.Connected || !strings.Contains(strings.Join(h.Reasons, "\n"), "No connection to NATS") {
		t.Errorf("without NATS the report is %+v", h)
	}
}
