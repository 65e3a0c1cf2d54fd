package bolt_test

import (
	"path/filepath"
	"testing"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

func TestEntries(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a := commit.Entry{
		Key: 3, Stream: "DEAD", Subject: "dead.mailer.user.created", MsgID: "j.mailer.0.dead", Header: map[string]string{"Handoff-Error": "no"},
		Job: "j", Data: []byte("{\x00}"),
	}
	b := commit.Entry{Key: 4, Stream: "USERS", Subject: "retry.mailer.user.created", MsgID: "j.mailer.4", Data: []byte("x")}
	c := commit.Entry{Key: 5, Stream: "DEAD", Subject: "dead.api.x", MsgID: "x", Data: []byte("y")}
	put(t, s, &commit.Changes{Entries: []commit.Entry{a, b, c}, LastKey: 5})
	got, err := s.Entries("DEAD")
	equal(t, "entries", got, []commit.Entry{a, c}, err)
	put(t, s, &commit.Changes{Left: []uint64{3, 99}})
	got, err = s.Entries("DEAD")
	equal(t, "entries once one has left", got, []commit.Entry{c}, err)
	put(t, s, &commit.Changes{Entries: []commit.Entry{{Key: 6, Stream: "DEAD"}}, Left: []uint64{5, 6}})
	got, err = s.Entries("DEAD")
	equal(t, "entries once all have left", len(got), 0, err)
}

func TestOrphans(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	orphan := func(id, service string, revision uint64) commit.Orphan {
		return commit.Orphan{Job: id, Service: service, Seen: job.Seen{
			Record: &event.Record{State: event.Running, Claim: 1, Holder: "h"}, Revision: revision, At: made(),
		}}
	}
	put(t, s, &commit.Changes{Orphans: []commit.Orphan{
		orphan("a", "notifier", 1), orphan("a", "mailer", 2), orphan("a-b", "mailer", 3), orphan("ab", "mailer", 4), orphan("a", "mailer", 5),
	}})
	got, err := s.OrphansOf("a")
	equal(t, "orphans of a", got, []commit.Orphan{orphan("a", "mailer", 5), orphan("a", "notifier", 1)}, err)
	put(t, s, &commit.Changes{Adopted: []string{"a", "none"}, Orphans: []commit.Orphan{orphan("a", "imager", 6)}})
	got, err = s.OrphansOf("a")
	equal(t, "orphans of a once adopted", len(got), 0, err)
	got, err = s.OrphansOf("a-b")
	equal(t, "orphans of another", got, []commit.Orphan{orphan("a-b", "mailer", 3)}, err)
}

func TestProgressSurvivesReopening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "api.db")
	before := uint64(time.Now().UnixMicro())
	s := open(t, path)
	first, err := s.LastKey()
	if err != nil || first < before {
		t.Fatalf("log keys begin at %d (%v), want them above %d, the time in µs", first, err, before)
	}
	if met, err := s.Met(); met || err != nil {
		t.Errorf("a new file has met its NATS: %t, %v", met, err)
	}
	if at, err := s.Cursor("USERS"); !at.IsZero() || err != nil {
		t.Errorf("a new file has a cursor: %v, %v", at, err)
	}
	put(t, s, &commit.Changes{
		LastKey: first + 7, Met: true,
		Positions: map[string]uint64{"USERS": first + 3}, Cursors: map[string]time.Time{"KV_JOBS_mailer": made()},
	})
	put(t, s, &commit.Changes{LastKey: first + 2, Positions: map[string]uint64{"IMAGES": 1}}) // keys given out stay given out
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	last, err := s.LastKey()
	equal(t, "last key", last, first+7, err)
	met, err := s.Met()
	equal(t, "met", met, true, err)
	position, err := s.Position("USERS")
	equal(t, "position", position, first+3, err)
	position, err = s.Position("TASKS")
	equal(t, "position of another", position, uint64(0), err)
	at, err := s.Cursor("KV_JOBS_mailer")
	equal(t, "cursor", at.UTC(), made(), err)
}
