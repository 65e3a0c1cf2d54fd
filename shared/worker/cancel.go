package worker

import (
	"encoding/json"

	"github.com/nats-io/nats.go"

	"handoff/shared/event"
	"handoff/shared/stream"
)

// hearOfCancels has claims look at their record as soon as their task has been cancelled. Whoever does not hear of it finds out
// at the next touch of the record. The message is a hint and no more: the record decides. stop ends it.
func (w *Worker) hearOfCancels() (stop func()) {
	sub, err := w.nc.Subscribe(stream.CancelSubject(w.cfg.Service), func(m *nats.Msg) {
		var c event.Cancel
		if err := json.Unmarshal(m.Data, &c); err != nil {
			w.log.Debug("Word of a cancelled task can't be decoded", "error", err)
			return
		}
		w.held.tell(c.Job)
	})
	if err != nil {
		w.log.Debug("Does not hear of cancelled tasks", "error", err)
		return func() {}
	}
	return func() { _ = sub.Unsubscribe() } // fails only when the connection is closed
}
