package reconcile_test

import (
	"os"
	"path/filepath"
	"testing"

	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// A power loss takes the newest writes: streams, buckets and consumers are as they were a while ago.
func TestAnOlderCopyOfEverythingIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.whole()
	stop := w.services("mailer", "notifier", "tasker")
	old := append(w.users(10), w.tasks(10)...)
	w.ended(old)
	w.nats.Stop()
	store, copied := filepath.Join(w.nats.Dir(), "jetstream"), filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(store)); err != nil {
		t.Fatal(err)
	}
	w.nats.Restart()
	done := append(w.users(10), w.tasks(10)...)
	w.ended(done)
	stop()
	waiting := w.tasks(5)
	w.relayed(waiting, "tasker")
	w.nats.Stop()
	w.nats.Wipe()
	if err := os.CopyFS(store, os.DirFS(copied)); err != nil {
		t.Fatal(err)
	}
	w.nats.Restart()
	w.services("mailer", "notifier", "tasker")
	more := w.tasks(5)
	w.ended(append(waiting, more...))
	w.whole()
	for service, ids := range map[string][]string{
		"mailer": append(old[:10:10], done[:10]...), "notifier": append(old[:10:10], done[:10]...),
		"tasker": append(append(append(old[10:20:20], done[10:]...), waiting...), more...),
	} {
		w.once(ids, service)
		if !w.all(ids, service, func(t *job.Task) bool { return t.State == event.Succeeded }) {
			t.Errorf("a task of %s has not succeeded any more", service)
		}
	}
}
