package trim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"handoff/services/api/internal/objectstore"
	"handoff/services/api/internal/web"
	"handoff/shared/natstest"
	"handoff/shared/stream"
)

// Writers that overlap, are slow, or never come to an end: no picture that stays loses a piece, and what goes is the oldest.
func TestNoPictureThatStaysLosesAPiece(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const unbroken = 15 // seconds, and a writer takes no longer
		type writer struct {
			began int
			first uint64
		}
		var all []Picture
		var under []writer
		seq := uint64(0)
		now := 1000
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			now += rapid.IntRange(0, 5).Draw(t, "passes")
			under = slices.DeleteFunc(under, func(w writer) bool { return now-w.began >= unbroken }) // given up
			seq++
			if len(under) > 0 && rapid.Bool().Draw(t, "whole") {
				i := rapid.IntRange(0, len(under)-1).Draw(t, "which")
				all = append(all, Picture{First: under[i].first, Last: seq, Bytes: 10, At: time.Unix(int64(now), 0)})
				under = slices.Delete(under, i, i+1)
			} else {
				under = append(under, writer{now, seq})
			}
		}
		under = slices.DeleteFunc(under, func(w writer) bool { return now-w.began >= unbroken })
		seen := rapid.IntRange(0, len(all)).Draw(t, "seen")
		g := Gallery{
			Oldest: all[:seen], All: seen == len(all), TooMuch: rapid.Uint64Range(1, 200).Draw(t, "too much"),
			Begun: time.Unix(int64(now-unbroken), 0), Unbroken: unbroken * time.Second,
		}
		cut := g.Cut()
		gone := uint64(0)
		for _, p := range all {
			if p.Last < cut {
				gone += p.Bytes
			} else if p.First < cut {
				t.Fatalf("cut below %d, amid %+v", cut, p)
			}
		}
		for _, w := range under {
			if w.first < cut {
				t.Fatalf("cut below %d, amid one under way from %d", cut, w.first)
			}
		}
		if cut > 0 && gone == 0 {
			t.Fatal("it cuts, and nothing goes")
		}
	})
}

func TestEnoughOldPicturesGoAndNoMore(t *testing.T) {
	t.Parallel()
	g := Gallery{All: true, TooMuch: 25, Begun: time.Unix(100, 0), Unbroken: time.Second}
	for i := range uint64(10) {
		g.Oldest = append(g.Oldest, Picture{First: 2*i + 1, Last: 2*i + 2, Bytes: 10, At: time.Unix(int64(i), 0)})
	}
	if cut := g.Cut(); cut != 7 {
		t.Errorf("cut below %d, want 7: three of them", cut)
	}
	g.Oldest[3].First = 5 // begun before the third was whole
	if cut := g.Cut(); cut != 9 {
		t.Errorf("cut below %d, want 9: the fourth goes too", cut)
	}
	g.Begun = time.Unix(2, 0)
	if cut := g.Cut(); cut != 5 {
		t.Errorf("cut below %d, want 5: the third is young", cut)
	}
}

func TestTheOldestPicturesLeaveWhenTheyTakeMoreThanHalfOfTheirRoom(t *testing.T) {
	t.Parallel()
	js := natstest.Run(t).JetStream()
	s, err := js.Stream(t.Context(), stream.ObjectStream(stream.Pictures))
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = 4 << 20
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	objects, err := js.ObjectStore(t.Context(), stream.Pictures)
	if err != nil {
		t.Fatal(err)
	}
	name := func(i int) string { return fmt.Sprint("job-", i) }
	content := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 200<<10) } // two pieces
	tr := New(Parts{
		JetStream: js, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Open: func() bool { return true },
	}, Limits{Unbroken: time.Nanosecond})
	trim := func() {
		t.Helper()
		if err := tr.clearPictures(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 30 { // more than there is room for
		if _, err := objects.Put(t.Context(), jetstream.ObjectMeta{Name: name(i)}, bytes.NewReader(content(i))); err != nil {
			t.Fatal(err)
		}
		if i == 9 {
			before := bytesIn(t, s)
			trim() // not yet half
			if bytesIn(t, s) != before {
				t.Error("something went before half of the room was taken")
			}
		}
		trim()
		if used := bytesIn(t, s); used > 2<<20 {
			t.Fatalf("%d bytes after picture %d", used, i)
		}
	}
	pictures := objectstore.New(js, stream.Pictures)
	there := 0
	for i := range 30 {
		switch err := whole(t.Context(), pictures, name(i), content(i)); {
		case err == nil:
			there++
		case errors.Is(err, web.ErrNoPicture) && there == 0: // which is answered with 410
		default:
			t.Errorf("picture %d, with %d older ones there: %v", i, there, err)
		}
	}
	if there < 7 || there > 10 {
		t.Errorf("%d pictures are there, want those of 40 to 50 %% of the room", there)
	}
}

func bytesIn(t *testing.T, s jetstream.Stream) uint64 {
	t.Helper()
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Bytes
}

func whole(ctx context.Context, pictures *objectstore.Store, name string, want []byte) error {
	p, err := pictures.Open(ctx, name)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(p.Body)
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("it is another")
	}
	return errors.Join(err, p.Body.Close())
}
