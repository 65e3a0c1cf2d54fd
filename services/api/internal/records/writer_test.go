package records_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/user"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

func TestUsersAreWrittenInBatchesAcrossRestarts(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	js, path := server.JetStream(), newPath(t)
	a := start(t, server, path)
	a.register("first", 3000)
	a.written(js)
	a.halt()
	a = start(t, server, path)
	a.register("second", 10)
	a.written(js)
	server.Stop()
	a.register("while NATS is away", 10)
	server.Restart()
	a.written(js)
	s, err := js.Stream(t.Context(), stream.Records)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n > 400 {
		t.Errorf("%d messages for 3020 users", n)
	}
	m, err := s.GetLastMsgForSubject(t.Context(), stream.RecordUsers)
	if err != nil || !strings.HasPrefix(m.Header.Get("Nats-Msg-Id"), "users.") ||
		m.Header.Get(stream.HeaderLastKey) != fmt.Sprint(a.out.Position()) {
		t.Errorf("newest message: %v, %v", m, err)
	}
}

// What was lost from RECORDS is noticed, whoever has taken it, and is written again.
func TestWhatRecordsLosesIsWrittenAgain(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*testing.T, jetstream.JetStream, jetstream.Stream){
		"deleted": func(t *testing.T, js jetstream.JetStream, _ jetstream.Stream) {
			if err := js.DeleteStream(t.Context(), stream.Records); err != nil {
				t.Fatal(err)
			}
		},
		"purged": func(t *testing.T, _ jetstream.JetStream, s jetstream.Stream) {
			if err := s.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"its beginning purged": func(t *testing.T, _ jetstream.JetStream, s jetstream.Stream) {
			if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(2)); err != nil {
				t.Fatal(err)
			}
		},
		"one message deleted": func(t *testing.T, _ jetstream.JetStream, s jetstream.Stream) {
			if err := s.DeleteMsg(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
		},
		"a stranger's message on top": func(t *testing.T, js jetstream.JetStream, s jetstream.Stream) {
			if _, err := js.Publish(t.Context(), stream.RecordUsers, []byte(`{"users":[]}`)); err != nil {
				t.Fatal(err)
			}
			_ = s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Run(t)
			js := server.JetStream()
			a := start(t, server, newPath(t))
			for _, what := range []string{"first", "second", "third"} {
				a.register(what, 100)
				a.written(js)
			}
			s, err := js.Stream(t.Context(), stream.Records)
			if err != nil {
				t.Fatal(err)
			}
			lose(t, js, s)
			a.written(js)
			a.register("fourth", 10)
			a.written(js)
		})
	}
}

// A power loss takes the newest messages; here an older state of the stream's files is put back.
func TestOlderStateOfRecordsIsCompletedAgain(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	js := server.JetStream()
	a := start(t, server, newPath(t))
	a.register("first", 100)
	a.written(js)
	server.Stop()
	kept := t.TempDir()
	if err := os.CopyFS(kept, os.DirFS(recordsDir(t, server))); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	a.register("second", 100)
	a.written(js)
	server.Stop()
	dir := recordsDir(t, server)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(kept)); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	a.written(js)
}

func TestOldFactsLeaveWhenRecordsIsOverHalf(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	js := server.JetStream()
	path := newPath(t)
	a := start(t, server, path)
	a.register("stays", 1000)
	a.written(js)
	// Facts of users who have left: they fill more than half.
	limit := fillRecords(t, js, 6, 10, a.out.Position())
	a.until("old facts leave", func() error {
		s, err := js.Stream(t.Context(), stream.Records)
		if err != nil {
			return err
		}
		if bytes := s.CachedInfo().State.Bytes; bytes > limit/10 {
			return fmt.Errorf("%d of %d bytes are taken", bytes, limit)
		}
		return nil
	})
	a.written(js)
	a.register("comes", 10)
	a.written(js)
}

// Where there is no room for two copies the old one goes first.
func TestFullRecordsIsRewritten(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	js := server.JetStream()
	a := start(t, server, newPath(t))
	a.register("stays", 100)
	a.written(js)
	fillRecords(t, js, 10, 10, a.out.Position())
	a.register("comes", 100)
	a.written(js)
	if why := a.out.UsersFull(); why != "" {
		t.Errorf("%s, though there is room again", why)
	}
}

func TestUsersAreRefusedWhileRecordsIsFullOfTheLiving(t *testing.T) {
	t.Parallel()
	server := natstest.Run(t)
	js := server.JetStream()
	a := start(t, server, newPath(t))
	long := strings.Repeat("long ", 5000)
	for i := range 500 { // about 12 MB
		err := a.writer.Do(func(v *commit.View) error {
			id := fmt.Sprintf("long-%d", i)
			v.AddUser(user.User{ID: id, Key: v.NextKey(), Email: id + "@example.com", Username: long, JobID: id})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	a.until("it is full", func() error {
		if a.out.UsersFull() == "" || a.out.HeldUpBy() == "" {
			return errors.New("it is not")
		}
		return nil
	})
	info, err := js.Stream(t.Context(), stream.Records)
	if err != nil {
		t.Fatal(err)
	}
	a.gate.Check()
	cfg := info.CachedInfo().Config
	cfg.MaxBytes *= 2
	cfg.Metadata["handoff-config"] = "1000" // or the reconciler takes it back
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	a.written(js)
	if why := a.out.UsersFull(); why != "" {
		t.Error(why)
	}
}

// fillRecords publishes facts, as a copy goes on, until of the stream's limit are so many tenths taken, and gives the limit.
func fillRecords(t *testing.T, js jetstream.JetStream, tenths, of, key uint64) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), stream.Records)
	if err != nil {
		t.Fatal(err)
	}
	limit := uint64(s.CachedInfo().Config.MaxBytes)
	const size = 200_000
	for taken := uint64(size); taken < limit/of*tenths; taken += size {
		m := nats.NewMsg(stream.RecordUsers)
		m.Data = append([]byte(`{"users":[]}`), make([]byte, size-12)...)
		for i := 12; i < size; i++ {
			m.Data[i] = ' '
		}
		m.Header.Set(stream.HeaderLastKey, fmt.Sprint(key))
		m.Header.Set(stream.HeaderReplaces, "0")
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			break // it is fuller than full
		}
	}
	return limit
}

func recordsDir(t *testing.T, server *natstest.Server) string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(server.Dir(), "*", "*", "streams", stream.Records))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("the files of RECORDS: %v, %v", dirs, err)
	}
	return dirs[0]
}
