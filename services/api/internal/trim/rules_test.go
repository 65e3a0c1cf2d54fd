package trim

import (
	"slices"
	"testing"
	"time"

	"handoff/services/api/internal/backlog"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// Each case differs in one thing from one in which all may go: a job that has ended, its message below the stream's first one for the
// grace, its record at 50.
func TestPlanKeepsWhatSomethingMayStillAskFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Seen, *backlog.Row)
		stream uint64 // purged below; 0 for not at all
		bucket uint64
		settle bool
	}{
		"all may go":                   {func(*Seen, *backlog.Row) {}, 201, 91, true},
		"above the stored position":    {func(s *Seen, r *backlog.Row) { s.Streams[stream.Tasks].Position = 9; r.Message = 150 }, 150, 50, false},
		"not noted, above it":          {func(s *Seen, r *backlog.Row) { s.Streams[stream.Tasks].Position = 9; r.Message = 0 }, 201, 50, false},
		"a message is in the stream":   {func(_ *Seen, r *backlog.Row) { r.Message = 150 }, 201, 50, false},
		"it was within the grace":      {func(s *Seen, _ *backlog.Row) { s.Streams[stream.Tasks].Oldest = 80 }, 201, 50, false},
		"the grace is not known":       {func(s *Seen, _ *backlog.Row) { s.Streams[stream.Tasks].Oldest = 0 }, 201, 50, false},
		"an entry may be on its way":   {func(_ *Seen, r *backlog.Row) { r.Entry = 11 }, 201, 50, false},
		"an entry had left before":     {func(s *Seen, r *backlog.Row) { r.Entry, s.Published = 11, func(uint64) bool { return true } }, 201, 91, true},
		"the stream is not read":       {func(s *Seen, _ *backlog.Row) { s.Streams[stream.Tasks].Read = 199 }, 200, 0, false},
		"the stream is not known":      {func(s *Seen, _ *backlog.Row) { delete(s.Streams, stream.Tasks) }, 0, 0, false},
		"read beyond what was seen":    {func(s *Seen, _ *backlog.Row) { s.Buckets["tasker"].Read = 95 }, 201, 91, true},
		"records are not read":         {func(s *Seen, _ *backlog.Row) { s.Buckets["tasker"].Read = 70 }, 201, 71, true},
		"the bucket is half empty":     {func(s *Seen, _ *backlog.Row) { s.Buckets["tasker"].Bytes = 500 }, 201, 0, true},
		"the user has no second copy":  {func(s *Seen, r *backlog.Row) { s.Streams[stream.Tasks].Recorded = 9; r.Message = 150 }, 150, 50, false},
		"unended, its message known":   {func(_ *Seen, r *backlog.Row) { r.State, r.Message = event.Retrying, 150 }, 150, 91, false},
		"unended, its message unknown": {func(_ *Seen, r *backlog.Row) { r.State, r.Message = event.Queued, 0 }, 201, 91, false},
		"its record is not cancelled":  {func(_ *Seen, r *backlog.Row) { r.State, r.Untold = event.Cancelled, true }, 201, 50, false},
		"a record of another bucket":   {func(_ *Seen, r *backlog.Row) { r.Message, r.Touched = 150, time.Unix(50, 0) }, 201, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := &Seen{
				Streams: map[string]*Stream{stream.Tasks: {
					First: 101, Last: 200, Messages: 100, MaxBytes: 1000, Read: 200, Position: 10, Recorded: 10, Oldest: 101,
				}},
				Buckets: map[string]*Bucket{"tasker": {
					First: 1, Last: 90, Records: 50, Bytes: 501, MaxBytes: 1000, Created: time.Unix(100, 0), Since: time.Unix(100, 0), Read: 90,
				}},
				Feeds:     map[string][]string{"tasker": {stream.Tasks}},
				Published: func(uint64) bool { return false }, Waits: func(uint64) bool { return false },
			}
			row := backlog.Row{
				Job: "j", Key: 10, Entry: 10, Stream: stream.Tasks, Service: "tasker", State: event.Succeeded, Message: 90, Revision: 50,
				Touched: time.Unix(150, 0),
			}
			c.change(seen, &row)
			o := Plan(seen, slices.Values([]*backlog.Row{&row}))
			if o.Streams[stream.Tasks] != c.stream || o.Buckets["tasker"].Below != c.bucket || (len(o.Settle) == 1) != c.settle {
				t.Errorf("stream below %d, bucket below %d, settled %d; want %d, %d, %t",
					o.Streams[stream.Tasks], o.Buckets["tasker"].Below, len(o.Settle), c.stream, c.bucket, c.settle)
			}
			if again := o.Buckets["tasker"].Again; len(again) == 1 != (c.bucket > 0 && !row.Ended()) {
				t.Errorf("written again: %v", again)
			}
		})
	}
}

// A stream that refuses even what is asked for again is purged up to its middle, and no further: of old tasks whose next message is kept
// in the store, and of no others.
func TestAFullStreamIsPurgedUpToItsMiddle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Seen, *backlog.Row)
		below  uint64
		apart  int
		asked  bool
	}{
		"its entry waits":         {func(*Seen, *backlog.Row) {}, 150, 1, false},
		"entries get in":          {func(s *Seen, _ *backlog.Row) { s.Streams[stream.Tasks].Refused = false }, 110, 0, true},
		"the stream is half":      {func(s *Seen, _ *backlog.Row) { s.Streams[stream.Tasks].Bytes = 500 }, 110, 0, false},
		"it has no entry":         {func(_ *Seen, r *backlog.Row) { r.Entry = r.Key }, 110, 0, true},
		"its entry has left":      {func(s *Seen, _ *backlog.Row) { s.Waits = func(uint64) bool { return false } }, 110, 0, true},
		"it is in the newer half": {func(_ *Seen, r *backlog.Row) { r.Message = 160 }, 160, 0, false},
		"its message has gone":    {func(_ *Seen, r *backlog.Row) { r.Message = 90 }, 201, 1, false},
		"it never had a message":  {func(_ *Seen, r *backlog.Row) { r.Message = 0 }, 201, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := &Seen{
				Streams: map[string]*Stream{stream.Tasks: {
					First: 101, Last: 200, Messages: 100, Bytes: 900, MaxBytes: 1000, Read: 200, Position: 10, Recorded: 10, Refused: true,
				}},
				Published: func(uint64) bool { return false }, Waits: func(uint64) bool { return true },
			}
			row := backlog.Row{Job: "j", Key: 9, Entry: 11, Stream: stream.Tasks, Service: "tasker", State: event.Retrying, Message: 110}
			c.change(seen, &row)
			o := Plan(seen, slices.Values([]*backlog.Row{&row}))
			if o.Streams[stream.Tasks] != c.below || o.Apart[stream.Tasks] != c.apart || (len(o.Old[stream.Tasks]) == 1) != c.asked {
				t.Errorf("purged below %d, %d apart, asked again %v; want %d, %d, %t",
					o.Streams[stream.Tasks], o.Apart[stream.Tasks], o.Old, c.below, c.apart, c.asked)
			}
		})
	}
}

func TestPublishedCountsFromTheLookAfter(t *testing.T) {
	t.Parallel()
	m := newModel()
	m.entries[7] = entry{}
	looks := []bool{false, false, true}
	for i, want := range looks {
		m.t.left = published{store: m, before: m.t.left.now, now: map[uint64]bool{}}
		if got := m.t.left.has(7); got != want {
			t.Errorf("look %d: %t, want %t", i, got, want)
		}
		delete(m.entries, 7)
	}
}

func TestFirstsGiveTheLowestWithinTheGrace(t *testing.T) {
	t.Parallel()
	f, at := &firsts{}, time.Unix(0, 0)
	for i, c := range []struct{ first, want uint64 }{{5, 0}, {6, 0}, {9, 0}, {9, 5}, {9, 6}, {7, 7}, {9, 7}, {9, 7}, {9, 7}, {9, 9}} {
		if got := f.note(at.Add(time.Duration(i)*time.Second), c.first, 3*time.Second); got != c.want {
			t.Errorf("after %d s: %d, want %d", i, got, c.want)
		}
	}
}

// What is not due is put back however much of the older half it is; other old tasks are not when they are many.
func TestWhatIsNotDueIsPutBackHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	for _, waits := range []bool{true, false} {
		seen := &Seen{
			Streams:   map[string]*Stream{stream.Tasks: {First: 1, Last: 200, Messages: 200, Bytes: 900, MaxBytes: 1000, Read: 200, Position: 10}},
			Published: func(uint64) bool { return false }, Waits: func(uint64) bool { return false },
		}
		var rows []*backlog.Row
		for i := range uint64(50) {
			rows = append(rows, &backlog.Row{
				Job: "j", Key: i, Entry: i, Stream: stream.Tasks, Service: "tasker", State: event.Queued, Message: i + 1, Waits: waits,
			})
		}
		if got, want := len(Plan(seen, slices.Values(rows)).Old[stream.Tasks]), map[bool]int{true: 50, false: 0}[waits]; got != want {
			t.Errorf("waiting %t: %d are put back, want %d", waits, got, want)
		}
	}
}
