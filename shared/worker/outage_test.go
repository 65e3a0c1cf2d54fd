package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/event"
	"handoff/shared/natstest"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

func TestTheWorkerWaitsForNATS(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	s.Stop()
	r := &rig{t: t, s: s}
	var e effects
	run := r.start(nil, worker.Spec{}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		e.add(ev.ID)
		return nil, nil
	})
	r.awaitReady(run, "no connection to NATS")
	s.Restart()
	r.awaitReady(run, "consumer tasker on TASKS")
	s.Ensure()
	r.awaitReady(run, "")
	r.js = s.JetStream()
	r.publish("one")
	r.await("one", event.Succeeded)
	r.settled()
}

func TestAStopWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	h := newHeld(t)
	run := r.start(nil, worker.Spec{}, worker.Config{Grace: 50 * time.Millisecond}, h.do)
	r.publish("one")
	r.await("one", event.Running)
	r.s.Stop()
	r.awaitReady(run, "no connection to NATS")
	if err := run.stop(); err != nil {
		t.Error(err)
	}
}

func TestADeletedConsumerIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"consumer", "stream"} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, short)
			h := newHeld(t)
			run := r.start(nil, worker.Spec{}, worker.Config{}, h.do)
			r.publish("running")
			r.await("running", event.Running)
			r.awaitReady(run, "")
			var err error
			if lost == "consumer" {
				err = r.js.DeleteConsumer(t.Context(), stream.Tasks, "tasker")
			} else {
				err = r.js.DeleteStream(t.Context(), stream.Tasks)
			}
			if err != nil {
				t.Fatal(err)
			}
			r.awaitReady(run, "consumer tasker on TASKS")
			r.s.Ensure()
			r.setAckWait(short)
			r.awaitReady(run, "")
			r.publish("running") // the stream's copy comes again, or is sent again
			r.publish("next")
			r.await("next", event.Running)
			h.letGo()
			r.await("next", event.Succeeded)
			r.await("running", event.Succeeded)
			r.settled()
			h.onceEach(t)
		})
	}
}

func TestALostBucketIsPutBackByItsHolders(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	h := newHeld(t)
	run := r.start(nil, worker.Spec{Concurrency: 1}, worker.Config{}, func(ctx context.Context, e event.Event[data]) (map[string]int, error) {
		if e.ID == "running" {
			return h.do(ctx, e)
		}
		h.add(e.ID)
		return nil, nil
	})
	r.publish("running")
	before := r.await("running", event.Running)
	other := r.start(nil, worker.Spec{Concurrency: 1}, worker.Config{}, func(_ context.Context, e event.Event[data]) (map[string]int, error) {
		h.add(e.ID)
		return nil, nil
	})
	r.awaitReady(other, "")
	if err := r.js.DeleteKeyValue(t.Context(), stream.Bucket("tasker")); err != nil {
		t.Fatal(err)
	}
	r.awaitReady(other, stream.Bucket("tasker"))
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := stream.Ensure(ctx, r.js, stream.Config{MaxStore: natstest.MaxStore, History: true, SkipOpen: true}); err != nil {
		t.Fatal(err)
	}
	r.setAckWait(short)
	if rec := r.await("running", event.Running); rec.Holder != before.Holder || rec.Attempt != 1 {
		t.Errorf("put back as %+v", rec)
	}
	r.publish("new")
	r.awaitReady(other, "being restored")
	if h.of("new") != 0 {
		t.Error("a claim in a bucket that is being restored")
	}
	if _, err := r.kv().Create(t.Context(), stream.OpenKey, []byte("1")); err != nil {
		t.Fatal(err)
	}
	r.await("new", event.Succeeded)
	h.letGo()
	rec := r.await("running", event.Succeeded)
	if rec.Claim != 1 {
		t.Errorf("ended as %+v", rec)
	}
	r.settled()
	r.awaitReady(run, "")
	h.onceEach(t)
}

// A claim that was written into a bucket that is being restored has not begun. The holder that has displaces it, not the other way round.
func TestAClaimThatWaitsAtTheGateDisplacesNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	h := newHeld(t)
	r.start(nil, worker.Spec{}, worker.Config{}, h.do)
	r.publish("one")
	before := r.await("one", event.Running)
	if err := r.js.DeleteKeyValue(t.Context(), stream.Bucket("tasker")); err != nil {
		t.Fatal(err)
	}
	if err := stream.Ensure(t.Context(), r.js, stream.Config{MaxStore: natstest.MaxStore, History: true, SkipOpen: true}); err != nil {
		t.Fatal(err)
	}
	r.put("one", &event.Record{State: event.Running, Claim: 1, Attempt: 1, Holder: "waits"})
	r.eventually(func() bool { return r.record("one").Holder == before.Holder })
	if _, err := r.kv().Create(t.Context(), stream.OpenKey, []byte("1")); err != nil {
		t.Fatal(err)
	}
	h.letGo()
	if rec := r.await("one", event.Succeeded); rec.Claim != 1 || rec.Holder != before.Holder {
		t.Errorf("%+v", rec)
	}
	r.settled()
	h.onceEach(t)
}

// A bucket that is gone and back between two looks is noticed by its revisions, or its age.
func TestABucketThatWasRemadeUnseenIsNotTrusted(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	var e effects
	run := r.start(nil, worker.Spec{}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		e.add(ev.ID)
		return nil, nil
	})
	r.publish("one")
	r.await("one", event.Succeeded)
	if err := r.js.DeleteKeyValue(t.Context(), stream.Bucket("tasker")); err != nil {
		t.Fatal(err)
	}
	kv, err := r.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: stream.Bucket("tasker"), MaxBytes: 1 << 20, Storage: jetstream.FileStorage})
	if err != nil {
		t.Fatal(err)
	}
	r.publish("one") // what the window still holds: its record was lost, it has ended
	r.publish("two")
	r.awaitReady(run, "being restored")
	r.put("one", &event.Record{State: event.Succeeded, Claim: 1, Attempt: 1})
	if _, err := kv.Create(t.Context(), stream.OpenKey, []byte("1")); err != nil {
		t.Fatal(err)
	}
	r.await("two", event.Succeeded)
	r.settled()
	e.onceEach(t)
}

func TestAServersRestartIsSatThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2*short)
	h := newHeld(t)
	spec := worker.Spec{Concurrency: 4}
	runs := []*running{r.start(nil, spec, worker.Config{}, h.do), r.start(nil, spec, worker.Config{}, h.do)}
	for i := range 6 {
		r.publish(jobID(i))
	}
	for i := range 6 {
		r.await(jobID(i), event.Running)
	}
	r.s.Stop()
	for _, run := range runs {
		r.awaitReady(run, "no connection to NATS")
	}
	r.s.Restart()
	r.eventually(r.js.Conn().IsConnected)
	for _, run := range runs {
		r.awaitReady(run, "")
	}
	h.letGo()
	for i := range 6 {
		if rec := r.await(jobID(i), event.Succeeded); rec.Attempt != 1 || rec.Claim != 1 {
			t.Errorf("%s: %+v", jobID(i), rec)
		}
	}
	r.settled()
	h.onceEach(t)
}

// fill leaves the bucket at the given share of its limit and gives what takes the filling away.
func (r *rig) fill(share float64) (empty func()) {
	r.t.Helper()
	s, err := r.js.Stream(r.t.Context(), stream.BucketStream(stream.Bucket("tasker")))
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = 1 << 20
	if _, err := r.js.UpdateStream(r.t.Context(), cfg); err != nil {
		r.t.Fatal(err)
	}
	for size := 16 << 10; size > 0; size /= 2 {
		for i := 0; ; i++ {
			info, err := s.Info(r.t.Context())
			if err != nil {
				r.t.Fatal(err)
			}
			if float64(info.State.Bytes)+float64(size) > share*float64(cfg.MaxBytes) {
				break
			}
			if _, err := r.kv().Put(r.t.Context(), "filling."+jobID(size)+"-"+jobID(i), make([]byte, size)); err != nil {
				break // full
			}
		}
	}
	return func() {
		r.t.Helper()
		if err := s.Purge(r.t.Context(), jetstream.WithPurgeSubject("$KV."+stream.Bucket("tasker")+".filling.>")); err != nil {
			r.t.Fatal(err)
		}
	}
}

func TestNothingIsClaimedInACrowdedBucket(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	h := newHeld(t)
	run := r.start(nil, worker.Spec{}, worker.Config{}, h.do)
	r.publish("running")
	r.await("running", event.Running)
	empty := r.fill(0.95)
	r.awaitReady(run, "over 90 %")
	r.publish("new")
	h.letGo()
	r.await("running", event.Succeeded)
	if h.of("new") != 0 || r.record("new") != nil {
		t.Error("a claim in a crowded bucket")
	}
	empty()
	r.await("new", event.Succeeded)
	r.settled()
	h.onceEach(t)
}

func TestAFullBucketIsNoLostClaim(t *testing.T) {
	t.Parallel()
	r := newRig(t, short)
	h := newHeld(t)
	run := r.start(nil, worker.Spec{}, worker.Config{}, h.do)
	other := r.start(nil, worker.Spec{}, worker.Config{}, h.do)
	r.publish("running")
	r.await("running", event.Running)
	empty := r.fill(1)
	r.awaitReady(run, "over 90 %")
	r.awaitReady(other, "over 90 %")
	h.letGo() // the end is larger than what it replaces
	_, before := r.entry("running")
	r.eventually(func() bool { rec, now := r.entry("running"); return rec.State == event.Running && now > before })
	empty()
	if rec := r.await("running", event.Succeeded); rec.Claim != 1 {
		t.Errorf("%+v", rec)
	}
	r.settled()
	h.onceEach(t)
}
