package trim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/stream"
)

const (
	// maxPictures is how many of the oldest pictures are looked at for one purge.
	maxPictures = 10_000
	// spare is the share of the limit, in percent, that pictures are brought down to.
	spare = 40
)

// A Picture is one object: its pieces lie between First and Last, where others' may lie too, and Last is what tells of it.
type Picture struct {
	First, Last uint64 // sequences
	Bytes       uint64
	At          time.Time // when Last was written
}

// A Gallery is what was read of the object store of pictures.
type Gallery struct {
	Oldest   []Picture // by Last
	All      bool      // whether there are no more
	TooMuch  uint64    // bytes that should go
	Begun    time.Time // what was begun before this is whole, or never will be
	Unbroken time.Duration
}

// Cut says below which sequence pictures may go, the oldest first, so that none that stays loses a piece. It is 0 when none may.
//
// A purge takes whatever lies below, so it must not lie amid a picture that is kept: neither one that is known, nor one of which only the
// first pieces are there, nor one that was not looked at. Pieces that nothing tells of, left by a writer that was killed, go with the rest.
func (g *Gallery) Cut() uint64 {
	after := make([]uint64, len(g.Oldest)+1) // lowest piece of those from here on
	after[len(g.Oldest)] = ^uint64(0)
	for i := len(g.Oldest) - 1; i >= 0; i-- {
		after[i] = min(after[i+1], g.Oldest[i].First)
	}
	cut, gone := uint64(0), uint64(0)
	for i := range g.Oldest {
		p := &g.Oldest[i]
		if !p.At.Before(g.Begun) || !g.All && p.At.Add(g.Unbroken).After(g.Oldest[len(g.Oldest)-1].At) {
			break
		}
		gone += p.Bytes
		if after[i+1] > p.Last {
			cut = p.Last + 1
			if gone >= g.TooMuch {
				break
			}
		}
	}
	return cut
}

// clearPictures purges the oldest pictures when they take more than half of their room.
func (t *Trimmer) clearPictures(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*askTimeout)
	defer cancel()
	s, err := t.JetStream.Stream(ctx, stream.ObjectStream(stream.Pictures))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil // reconcile sees to that
	}
	if err != nil {
		return fmt.Errorf("look at object store %s: %w", stream.Pictures, err)
	}
	info := s.CachedInfo()
	room, used := limit(info), info.State.Bytes
	if used <= room/2 {
		return nil
	}
	// By the server's clock, which has also set the time of each picture.
	g := Gallery{TooMuch: used - room/100*spare, Begun: info.TimeStamp.Add(-t.limits.Unbroken), Unbroken: t.limits.Unbroken}
	if err := g.read(ctx, s); err != nil {
		return fmt.Errorf("look for old pictures: %w", err)
	}
	cut := g.Cut()
	if cut == 0 {
		return nil
	}
	if err := t.purge(ctx, s, cut); err != nil {
		return err
	}
	t.Log.Info("The oldest pictures have left", "below", cut)
	return nil
}

// read looks at pictures, from the oldest on, until enough are known to decide.
func (g *Gallery) read(ctx context.Context, s jetstream.Stream) error {
	const told, pieces = "$O." + stream.Pictures + ".M.>", "$O." + stream.Pictures + ".C."
	gone := uint64(0)
	var enough time.Time
	for next := uint64(1); len(g.Oldest) < maxPictures; {
		m, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(told))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			g.All = true
			return nil
		}
		if err != nil {
			return err
		}
		next = m.Sequence + 1
		p := Picture{First: m.Sequence, Last: m.Sequence, At: m.Time}
		var about jetstream.ObjectInfo
		if err := json.Unmarshal(m.Data, &about); err == nil && about.Chunks > 0 {
			p.Bytes = about.Size
			first, err := s.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(pieces+about.NUID))
			switch {
			case err == nil:
				p.First = min(first.Sequence, p.Last)
			case !errors.Is(err, jetstream.ErrMsgNotFound): // it has been replaced meanwhile
				return err
			}
		}
		g.Oldest = append(g.Oldest, p)
		if gone += p.Bytes; gone < g.TooMuch {
			continue
		}
		if enough.IsZero() {
			enough = p.At.Add(2 * g.Unbroken)
		}
		if p.At.After(enough) {
			return nil
		}
	}
	return nil
}
