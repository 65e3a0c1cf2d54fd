package backlog_test

import (
	"path/filepath"
	"testing"
	"time"

	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

func accepted(t *testing.T, id string, key uint64) (commit.Accept, *job.Job) {
	t.Helper()
	env, err := event.New(id, time.Now(), event.TaskRequestedData{DurationMS: 1}, "tasker")
	if err != nil {
		t.Fatal(err)
	}
	return commit.Accept{Key: key, Stream: stream.Tasks, Subject: "task.requested", Job: id, Data: []byte("{}")},
		job.New(env, stream.Tasks, key, []string{"tasker"})
}

func states(b *backlog.Backlog) map[string]event.State {
	found := map[string]event.State{}
	b.Each(func(r *backlog.Row) bool {
		found[r.Job] = r.State
		return true
	})
	return found
}

func TestBacklogFollowsTheStoreAndIsTheSameAfterARestart(t *testing.T) {
	t.Parallel()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "api.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	live, err := backlog.Load(store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	apply := func(c *commit.Changes) {
		t.Helper()
		if err := store.Commit(c); err != nil {
			t.Fatal(err)
		}
		live.Committed(c)
		loaded, err := backlog.Load(store, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if want, got := states(live), states(loaded); len(want) != len(got) {
			t.Errorf("after a restart it holds %v, before %v", got, want)
		} else {
			for id, s := range want {
				if got[id] != s {
					t.Errorf("after a restart %s is %s, before %s", id, got[id], s)
				}
			}
		}
	}
	var jobs []*job.Job
	for i, id := range []string{"a", "b", "c"} {
		a, j := accepted(t, id, uint64(10+i))
		apply(&commit.Changes{Accepts: []commit.Accept{a}, Jobs: map[string]*job.Job{id: j}, LastKey: a.Key})
		jobs = append(jobs, j)
	}
	done := *jobs[0]
	done.Tasks = []job.Task{{Service: "tasker", State: event.Succeeded, Message: 7, Claim: 1}}
	apply(&commit.Changes{Jobs: map[string]*job.Job{"a": &done}})
	if s := states(live); s["a"] != event.Succeeded || s["b"] != event.Queued || live.Len() != 3 {
		t.Errorf("the backlog is %v", s)
	}
	apply(&commit.Changes{Settled: []uint64{10}})
	late := done
	late.Tasks = []job.Task{{Service: "tasker", State: event.Succeeded, Message: 8}}
	apply(&commit.Changes{Jobs: map[string]*job.Job{"a": &late}}) // what has left does not come back
	apply(&commit.Changes{Pruned: []*job.Job{&late, jobs[1]}})
	if s := states(live); len(s) != 1 || s["c"] != event.Queued {
		t.Errorf("the backlog is %v", s)
	}
	if _, err := store.Job("a"); err == nil {
		t.Error("a pruned job is still there")
	}
	if _, err := store.Accepted(stream.Tasks, 10); err == nil {
		t.Error("a pruned job's row of the log is still there")
	}
}
