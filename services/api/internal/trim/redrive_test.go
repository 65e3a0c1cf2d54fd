package trim_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/reissue"
	"handoff/shared/event"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// A dead job has left its stream and the window, and the stream is made anew. Once it is asked for again its new message stays, whatever
// leaves around it, until it is done; then it leaves as others do.
func TestARedriveOfWhatHadLeftItsStreamStaysUntilItIsDone(t *testing.T) {
	t.Parallel()
	r := newRig(t, quick(), tiny)
	var mended atomic.Bool
	r.work(worker.Spec{Concurrency: 64, Attempts: 1 << 20}, func(id string, before int) error {
		switch {
		case id != "old-0" || mended.Load():
			return nil
		case before == 0:
			return worker.Permanent(errors.New("no"))
		}
		return worker.RetryAfter(200*time.Millisecond, errors.New("not yet"))
	})
	onWindow := func() bool {
		t.Helper()
		j, err := r.store.Job("old-0")
		if err != nil {
			t.Fatal(err)
		}
		on, err := r.store.OnWindow(j.Key)
		if err != nil {
			t.Fatal(err)
		}
		return on
	}
	r.accept("others", 100) // its sequence lies above those that the next stream will have for long
	r.accept("old", 1)
	r.until("it is dead and off the window", func() bool { return r.state("old-0") == event.Dead && !onWindow() })
	made := func() time.Time {
		s, err := r.js.Stream(t.Context(), stream.Tasks)
		if err != nil {
			return time.Time{}
		}
		return s.CachedInfo().Created
	}
	first := made()
	if err := r.js.DeleteStream(t.Context(), stream.Tasks); err != nil {
		t.Fatal(err)
	}
	r.until("the stream is made anew", func() bool { at := made(); return !at.IsZero() && !at.Equal(first) })

	r.accept("before", 50)
	r.until("those before it have left", func() bool { return r.info(stream.Tasks).FirstSeq == 51 })
	r.do(func(v *commit.View) {
		if n, err := reissue.Redrive(v, "old-0", nil); n != 1 || err != nil {
			t.Errorf("%d are redriven (%v)", n, err)
		}
	})
	r.relay()
	r.until("it is tried again", func() bool { return r.times("old-0") > 1 })
	for _, more := range []string{"more", "much-more"} {
		r.accept(more, 50)
		r.until("they are done", func() bool { return r.state(more+"-49") == event.Succeeded })
		tried := r.times("old-0")
		r.until("it is tried on", func() bool { return r.times("old-0") > tried+2 }) // trim has looked meanwhile
		if is := r.info(stream.Tasks); is.FirstSeq != 51 {
			t.Fatalf("the first message is %d, want its own, which is 51", is.FirstSeq)
		}
	}
	mended.Store(true)
	r.until("it is done, and has left", func() bool {
		return r.state("old-0") == event.Succeeded && r.info(stream.Tasks).Msgs == 0 && !onWindow()
	})
}
