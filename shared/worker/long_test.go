package worker_test

import (
	"testing"
	"time"

	"handoff/shared/event"
	"handoff/shared/worker"
)

// Both replicas live all the while, one with every slot taken and one that would take over. What is done meanwhile is done once,
// whether it ends before NATS is back or after.
func TestAnOutageOfThreeAckWaitsIsSatThrough(t *testing.T) {
	t.Parallel()
	for _, ends := range []string{"meanwhile", "afterwards"} {
		t.Run(ends, func(t *testing.T) {
			t.Parallel()
			const slots, ackWait = 64, 2 * short
			r := newRig(t, ackWait)
			h := newHeld(t)
			spec := worker.Spec{Concurrency: slots}
			first := r.start(nil, spec, worker.Config{}, h.do)
			for i := range slots {
				r.publish(jobID(i))
			}
			for i := range slots {
				r.await(jobID(i), event.Running)
			}
			second := r.start(nil, spec, worker.Config{}, h.do)
			r.awaitReady(second, "")
			r.s.Stop()
			over := time.After(3 * ackWait) // the length of the outage is what is tested
			r.awaitReady(first, "no connection to NATS")
			if ends == "meanwhile" {
				h.letGo()
			}
			<-over
			r.s.Restart()
			r.awaitReady(first, "")
			r.awaitReady(second, "")
			if ends == "afterwards" { // and after the other has had time to take over
				<-time.After(2 * ackWait)
				h.letGo()
			}
			r.settled()
			for i := range slots {
				if rec := r.await(jobID(i), event.Succeeded); rec.Attempt != 1 || rec.Claim != 1 {
					t.Errorf("%s: %+v", jobID(i), rec)
				}
			}
			h.onceEach(t)
		})
	}
}
