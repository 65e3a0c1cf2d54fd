package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"handoff/shared/event"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// Replicas come and go while there is work, as an autoscaler has them do.
func TestFromOneReplicaToEightAndBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, stream.AckWait)
	var e effects
	do := func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		e.add(ev.ID)
		return nil, nil
	}
	published := 0
	// more publishes work, and waits until half of it is done: then there is some under way.
	more := func() {
		for range 40 {
			r.publish(jobID(published))
			published++
		}
		r.eventually(func() bool { return e.jobs() >= published-20 })
	}
	var replicas []*running
	for range 8 {
		replicas = append(replicas, r.launch(nil, worker.Spec{Concurrency: 2}, worker.Config{}, do))
		more()
	}
	for _, one := range replicas[1:] {
		stopped := make(chan error, 1)
		go func() { stopped <- one.stop() }()
		more()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
	r.settled()
	if err := replicas[0].stop(); err != nil {
		t.Error(err)
	}
	if e.jobs() != published {
		t.Errorf("%d of %d jobs", e.jobs(), published)
	}
	e.onceEach(t)
}

// A rolling deploy changes the AckWait under workers that began with another, whichever version comes first.
func TestAnotherAckWaitUnderRunningWorkers(t *testing.T) {
	t.Parallel()
	for name, waits := range map[string][2]time.Duration{"longer": {2 * time.Second, 4 * time.Second}, "shorter": {4 * time.Second, 2 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, waits[0])
			h := newHeld(t)
			spec := worker.Spec{Concurrency: 8}
			r.start(nil, spec, worker.Config{}, h.do)
			for i := range 8 {
				r.publish(jobID(i))
			}
			for i := range 8 {
				r.await(jobID(i), event.Running)
			}
			r.setAckWait(waits[1])
			newer := r.start(nil, spec, worker.Config{}, h.do)
			r.awaitReady(newer, "")
			touches := map[uint64]bool{}
			r.eventually(func() bool { // three of the longer ones
				_, revision := r.entry(jobID(0))
				touches[revision] = true
				return len(touches) > 12
			})
			h.letGo()
			for i := range 8 {
				if rec := r.await(jobID(i), event.Succeeded); rec.Claim != 1 {
					t.Errorf("%+v", rec)
				}
			}
			r.settled()
			h.onceEach(t)
		})
	}
}

// A supervisor starts a worker again in the same process: it counts on where the last one did.
func TestAWorkerThatIsMadeAgainCountsOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	metrics := prometheus.NewRegistry()
	for i := range 2 {
		run := r.launch(nil, worker.Spec{}, worker.Config{Metrics: metrics}, func(context.Context, event.Event[data]) (map[string]int, error) { return nil, nil })
		r.publish(jobID(i))
		r.await(jobID(i), event.Succeeded)
		r.settled()
		if err := run.stop(); err != nil {
			t.Fatal(err)
		}
	}
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "handoff_attempts_total" && (len(f.GetMetric()) != 1 || f.GetMetric()[0].GetCounter().GetValue() != 2) {
			t.Errorf("counted %v, want 2 of one kind", f.GetMetric())
		}
	}
}

// A newer version has a service asked for more: its consumer's filter is widened under workers that run.
func TestAWiderFilterReachesRunningWorkers(t *testing.T) {
	t.Parallel()
	r := newRig(t, long)
	all := r.consumer().Config
	narrow := all
	narrow.FilterSubjects = []string{"task.requested"}
	if _, err := r.js.UpdateConsumer(t.Context(), stream.Tasks, narrow); err != nil {
		t.Fatal(err)
	}
	var e effects
	run := r.start(nil, worker.Spec{}, worker.Config{}, func(_ context.Context, ev event.Event[data]) (map[string]int, error) {
		return map[string]int{"run": e.add(ev.ID)}, nil
	})
	r.publish("one")
	r.await("one", event.Succeeded)
	r.awaitReady(run, "")
	if _, err := r.js.UpdateConsumer(t.Context(), stream.Tasks, all); err != nil {
		t.Fatal(err)
	}
	r.again(1)
	r.eventually(func() bool { rec := r.record("one"); return rec.Generation == 1 && rec.State == event.Succeeded })
	r.settled()
}
