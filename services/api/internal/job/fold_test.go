package job_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// history draws what a bucket can have held one after the other under one key: claims, touches, ends and redrives, each with a
// higher revision and a later time than the one before.
func history(t *rapid.T) []job.Seen {
	r := event.Record{}
	at, revision := start(), uint64(0)
	var all []job.Seen
	write := func() {
		revision += uint64(rapid.IntRange(1, 3).Draw(t, "revisions"))
		at = at.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms")) * time.Millisecond)
		c := r
		all = append(all, job.Seen{Record: &c, Revision: revision, At: at})
	}
	for n := rapid.IntRange(1, 20).Draw(t, "writes"); n > 0; n-- {
		switch {
		case r.State.Ended() || r.State == event.Running && rapid.IntRange(0, 9).Draw(t, "redrive") == 0:
			r = event.Record{State: event.Running, Generation: r.Generation + 1, Claim: r.Claim + 1, Attempt: 1}
		case r.State == "" || r.State == event.Retrying:
			r = event.Record{State: event.Running, Generation: r.Generation, Claim: r.Claim + 1, Attempt: r.Attempt + 1}
		default:
			switch s := rapid.SampledFrom([]job.State{
				event.Running, event.Running, event.Running, event.Retrying, event.Retrying, event.Succeeded, event.Dead, event.Cancelled,
			}).Draw(t, "state"); s {
			case event.Running:
				r.Progress = &event.Progress{Percent: float64(revision)}
			case event.Retrying:
				due := at.Add(time.Second)
				r.State, r.Error, r.Due = s, fmt.Sprint("failed at ", revision), &due
			default:
				ended := at
				r.State, r.Ended = s, &ended
				if s == event.Succeeded {
					r.Result = json.RawMessage(`{"n":1}`)
				}
			}
		}
		write()
	}
	return all
}

func queued() job.Task {
	return job.Task{Service: "mailer", Name: "welcome-email", State: event.Queued, Entry: 7, Message: 8}
}

func fold(seen []job.Seen) job.Task {
	t := queued()
	for _, s := range seen {
		t, _ = job.Fold(t, s)
	}
	return t
}

// shuffled draws seen in any order, with any of it read again.
func shuffled(t *rapid.T, seen []job.Seen) []job.Seen {
	again := append([]job.Seen(nil), seen...)
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(seen)-1), 0, len(seen)).Draw(t, "again") {
		again = append(again, seen[i])
	}
	return rapid.Permutation(again).Draw(t, "order")
}

func TestFoldEndsTheSameInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seen := history(t)
		want := fold(seen)
		if got := fold(shuffled(t, seen)); !reflect.DeepEqual(got, want) {
			t.Fatalf("in another order\n got %+v\nwant %+v", got, want)
		}
		last := seen[len(seen)-1]
		if want.State != last.Record.State || want.Revision != last.Revision || !want.Touched.Equal(last.At) {
			t.Fatalf("after all: %+v, want what the last record says: %+v", want, last.Record)
		}
	})
}

// level is where a task stands; it must never fall.
func level(t *job.Task) [4]int {
	ended, claim, rank := 0, t.Claim, map[job.State]int{event.Running: 1, event.Retrying: 2}[t.State]
	if t.State.Ended() {
		ended, claim, rank = 1, 0, 0
	}
	return [4]int{t.Generation, ended, claim, rank}
}

func less(a, b [4]int) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

// anything draws records that no history explains: of another bucket, of a copy that was put back.
func anything() *rapid.Generator[job.Seen] {
	return rapid.Custom(func(t *rapid.T) job.Seen {
		return job.Seen{
			Record: &event.Record{
				State: rapid.SampledFrom([]job.State{
					event.Running, event.Retrying, event.Succeeded, event.Dead, event.Cancelled,
				}).Draw(t, "state"),
				Generation: rapid.IntRange(0, 2).Draw(t, "generation"), Claim: rapid.IntRange(0, 3).Draw(t, "claim"),
				Error: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "error"),
			},
			Revision: rapid.Uint64Range(1, 6).Draw(t, "revision"),
			At:       start().Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "at")) * time.Second),
		}
	})
}

func TestFoldNeverGoesBackwards(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		task := queued()
		for _, s := range rapid.SliceOfN(anything(), 1, 30).Draw(t, "seen") {
			before := task
			after, news := job.Fold(task, s)
			if !reflect.DeepEqual(task, before) {
				t.Fatal("changed what it was given")
			}
			if !news && !reflect.DeepEqual(after, before) {
				t.Fatalf("says that nothing is new, but %+v became %+v", before, after)
			}
			if less(level(&after), level(&before)) {
				t.Fatalf("%+v fell to %+v", before, after)
			}
			if said := (&job.Task{State: s.Record.State, Generation: s.Record.Generation, Claim: s.Record.Claim}); less(level(&after), level(said)) {
				t.Fatalf("%+v with %+v read is still %+v", before, s.Record, after)
			}
			if before.State.Ended() && after.Generation == before.Generation {
				moved := before
				moved.Revision, moved.Touched = after.Revision, after.Touched
				if !reflect.DeepEqual(after, moved) {
					t.Fatalf("what had ended as %+v became %+v", before, after)
				}
			}
			if after.Touched.Before(before.Touched) && level(&after) == level(&before) {
				t.Fatalf("touched at %v, then at %v", before.Touched, after.Touched)
			}
			if after.Entry != 7 || after.Message != 8 || after.Service != "mailer" || after.Name != "welcome-email" {
				t.Fatalf("lost what no record knows: %+v", after)
			}
			again, news := job.Fold(after, s)
			if news || !reflect.DeepEqual(again, after) {
				t.Fatalf("read twice: %+v became %+v", after, again)
			}
			task = after
		}
	})
}

func TestFold(t *testing.T) {
	t.Parallel()
	t0 := start()
	running := func(claim int, revision uint64, at time.Duration) job.Seen {
		return job.Seen{Record: &event.Record{State: event.Running, Claim: claim}, Revision: revision, At: t0.Add(at)}
	}
	withProgress := running(1, 6, time.Second)
	withProgress.Record.Progress = &event.Progress{Percent: 40}
	dead := job.Seen{Record: &event.Record{State: event.Dead, Claim: 1, Error: "no"}, Revision: 9, At: t0}
	done := job.Seen{Record: &event.Record{State: event.Succeeded, Claim: 2}, Revision: 10, At: t0.Add(time.Minute)}
	redriven := job.Seen{Record: &event.Record{State: event.Running, Generation: 1, Claim: 2}, Revision: 11, At: t0}
	for _, c := range []struct {
		name string
		seen []job.Seen
		want job.Task // state, generation, claim, revision
		news bool     // of the last
	}{
		{"the first record", []job.Seen{running(1, 5, 0)}, job.Task{State: event.Running, Claim: 1, Revision: 5}, true},
		{"the same again", []job.Seen{running(1, 5, 0), running(1, 5, 0)}, job.Task{State: event.Running, Claim: 1, Revision: 5}, false},
		{"a touch", []job.Seen{running(1, 5, 0), withProgress}, job.Task{State: event.Running, Claim: 1, Revision: 6}, true},
		{"a touch, late", []job.Seen{withProgress, running(1, 5, 0)}, job.Task{State: event.Running, Claim: 1, Revision: 6}, false},
		{"an earlier claim", []job.Seen{running(2, 7, 0), running(1, 5, 0)}, job.Task{State: event.Running, Claim: 2, Revision: 7}, false},
		{"the first end stands", []job.Seen{dead, done}, job.Task{State: event.Dead, Claim: 1, Revision: 10}, true},
		{"another end, late", []job.Seen{done, dead}, job.Task{State: event.Succeeded, Claim: 2, Revision: 10}, false},
		{"a redrive", []job.Seen{dead, redriven}, job.Task{State: event.Running, Generation: 1, Claim: 2, Revision: 11}, true},
		{"an end of an earlier generation", []job.Seen{redriven, done}, job.Task{State: event.Running, Generation: 1, Claim: 2, Revision: 11}, false},
		{
			"more under the same revision, in a bucket made anew",
			[]job.Seen{running(1, 10, 0), done}, job.Task{State: event.Succeeded, Claim: 2, Revision: 10}, true,
		},
		{
			"a touch under a lower revision, in a bucket made anew",
			[]job.Seen{running(1, 5, 0), running(1, 1, time.Minute)}, job.Task{State: event.Running, Claim: 1, Revision: 1}, true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			task, news := queued(), false
			for _, s := range c.seen {
				task, news = job.Fold(task, s)
			}
			got := job.Task{State: task.State, Generation: task.Generation, Claim: task.Claim, Revision: task.Revision}
			if !reflect.DeepEqual(got, c.want) || news != c.news {
				t.Errorf("got %+v, news %t, want %+v, news %t", got, news, c.want, c.news)
			}
		})
	}
}

// Whatever a bucket holds, the record that replaces what is behind says as much as is known, and no more.
func TestARecordThatIsPutBackIsNotBehind(t *testing.T) {
	t.Parallel()
	states := []event.State{event.Running, event.Retrying, event.Succeeded, event.Dead, event.Cancelled}
	rapid.Check(t, func(t *rapid.T) {
		known := job.Task{
			Service: "mailer", State: rapid.SampledFrom(append(states, event.Queued)).Draw(t, "state"),
			Generation: rapid.IntRange(0, 2).Draw(t, "generation"), Claim: rapid.IntRange(0, 3).Draw(t, "claim"),
		}
		now := time.Unix(100, 0)
		back := job.Record(&known, now)
		if job.Behind(back, &known) {
			t.Fatalf("%+v is behind %+v", back, known)
		}
		if !known.State.Ended() && (back.State != event.Retrying || back.Due == nil || back.Due.After(now)) {
			t.Fatalf("%+v can't be claimed at once", back)
		}
		r := &event.Record{
			State: rapid.SampledFrom(states).Draw(t, "read"), Generation: rapid.IntRange(0, 2).Draw(t, "its generation"),
			Claim: rapid.IntRange(0, 3).Draw(t, "its claim"),
		}
		if next, more := job.Fold(known, job.Seen{Record: r, Revision: 1}); more && next.State != known.State && job.Behind(r, &known) {
			t.Fatalf("%+v says more than %+v and would be overwritten", r, known)
		}
		if r.State == event.Running && r.Generation == known.Generation && !known.State.Ended() && job.Behind(r, &known) {
			t.Fatalf("%+v may have a living holder and would be overwritten", r)
		}
		if job.Behind(r, &known) && r.Generation > known.Generation {
			t.Fatalf("%+v is of a later generation than %+v and would be overwritten", r, known)
		}
	})
}
