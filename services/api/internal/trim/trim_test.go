package trim_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"handoff/services/api/internal/trim"
	"handoff/shared/event"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// quick limits: what the tests wait for comes within a second.
func quick() trim.Limits {
	return trim.Limits{Grace: 300 * time.Millisecond, Every: 50 * time.Millisecond}
}

const (
	small = 64 << 20 // with this, TASKS holds 3 MB and the tasker's bucket 4 MB
	tiny  = 20 << 20
)

func spec() worker.Spec { return worker.Spec{Concurrency: 64} }

// once checks that each of n jobs was done, once.
func (r *rig) once(prefix string, n int) {
	r.t.Helper()
	for i := range n {
		if id := fmt.Sprintf("%s-%d", prefix, i); r.times(id) != 1 {
			r.t.Errorf("job %s was done %d times", id, r.times(id))
		}
	}
}

func TestWhatHasEndedLeavesStreamBucketAndStore(t *testing.T) {
	t.Parallel()
	l := quick()
	l.JobMax, l.LogRetention = 100, time.Second
	r := newRig(t, l, small)
	r.work(spec(), func(string, int) error { return nil })
	for i := range 5 {
		r.accept(fmt.Sprint("job-", i), 1000)
	}
	r.until("the stream is empty", func() bool { return r.times("job-4-999") > 0 && r.info(stream.Tasks).Msgs == 0 })
	r.until("the bucket holds its open key alone", func() bool { return r.bucket().Msgs == 1 })
	if !r.record(stream.OpenKey) {
		t.Error("the open key is gone")
	}
	r.until("the store holds as many jobs as it shall", func() bool { return r.jobs() == 100 })
	if s := r.state("job-4-999"); s != event.Succeeded {
		t.Errorf("the newest job is %q", s)
	}
	if s := r.state("job-0-0"); s != "" {
		t.Errorf("the oldest job is %q, and should have left", s)
	}
	r.accept("more", 100) // all goes on as before
	r.until("more is done", func() bool { return r.times("more-99") > 0 && r.info(stream.Tasks).Msgs == 0 && r.jobs() == 100 })
	for i := range 5 {
		r.once(fmt.Sprint("job-", i), 1000)
	}
	r.once("more", 100)
}

func TestAnOldTaskThatWaitsKeepsItsMessageAndRecordAndHoldsUpNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, quick(), tiny)
	r.work(spec(), func(id string, _ int) error {
		if id == "waits-0" {
			return worker.RetryAfter(time.Hour, errors.New("not today"))
		}
		return nil
	})
	r.accept("waits", 1)
	r.until("it waits", func() bool {
		j, err := r.store.Job("waits-0")
		return err == nil && j.Tasks[0].State == event.Retrying
	})
	waits, err := r.store.Job("waits-0")
	if err != nil {
		t.Fatal(err)
	}
	first := waits.Tasks[0]
	for i := range 5 { // until the stream is over half full and then some
		r.accept(fmt.Sprint("job-", i), 500)
	}
	r.until("it was asked for again", func() bool {
		entries, err := r.store.Entries(stream.Tasks)
		return err == nil && len(entries) > 0
	})
	r.relay()
	r.until("its old message has gone", func() bool { return r.info(stream.Tasks).FirstSeq > first.Message })
	r.until("its old revision has gone", func() bool { return r.bucket().FirstSeq > first.Revision })
	r.until("the stream begins with it", func() bool {
		j, err := r.store.Job("waits-0")
		return err == nil && j.Tasks[0].Message == r.info(stream.Tasks).FirstSeq && r.state("job-4-499") == event.Succeeded
	})
	if !r.record("waits-0") || !r.record(stream.OpenKey) {
		t.Errorf("its record is there: %t; the open key: %t", r.record("waits-0"), r.record(stream.OpenKey))
	}
	for i := range 5 {
		r.once(fmt.Sprint("job-", i), 500)
	}
	r.once("waits", 1)
}

func TestAStreamWithNoRoomForWhatIsAskedAgainIsPurgedUpToItsMiddleFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t, quick(), tiny)
	r.work(spec(), func(id string, _ int) error {
		if id == "waits-0" {
			return worker.RetryAfter(time.Hour, errors.New("not today"))
		}
		return nil
	})
	r.refused.Store(true)
	r.accept("waits", 1)
	r.until("it waits", func() bool { return r.state("waits-0") != event.Queued && r.times("waits-0") == 1 })
	first := r.info(stream.Tasks).FirstSeq
	for i := range 5 {
		r.accept(fmt.Sprint("job-", i), 500)
	}
	r.until("its message has gone before the next one is there", func() bool { return r.info(stream.Tasks).FirstSeq > first })
	if err := r.trimmer.Err(); err == nil {
		t.Error("only the store knows of it, and the api is ready")
	}
	if !r.record("waits-0") {
		t.Error("its record has gone")
	}
	r.refused.Store(false)
	r.relay()
	r.until("it has followed", func() bool {
		j, err := r.store.Job("waits-0")
		return r.trimmer.Err() == nil && err == nil && j.Tasks[0].Message > first && j.Tasks[0].Message >= r.info(stream.Tasks).FirstSeq
	})
	r.once("waits", 1)
}
