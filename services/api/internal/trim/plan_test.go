package trim

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

func (m *model) accept(t *rapid.T) {
	if len(m.window) > 3 {
		return // few jobs, of which much happens to each
	}
	m.key++
	asked := services()[:rapid.IntRange(1, 2).Draw(t, "services")]
	j := &job.Job{ID: id(m.key), Key: m.key, Type: event.UserCreated, Stream: stream.Users}
	for _, s := range asked {
		j.Tasks = append(j.Tasks, job.Task{Service: s, State: event.Queued, Entry: m.key})
	}
	m.jobs[m.key], m.window[m.key] = j, true
}

// relay publishes the next accept, or an entry; note has the store know.
func (m *model) relay() {
	next := m.position + 1
	for _, s := range m.unnoted {
		if !s.entry {
			next = max(next, s.key+1)
		}
	}
	for m.entries[next].job != 0 || m.jobs[next] == nil && next <= m.key { // keys of entries
		next++
	}
	j := m.jobs[next]
	if j == nil {
		return
	}
	done := sent{key: next, job: next}
	if !j.State().Ended() && j.Tasks[0].Message == 0 {
		var asked []string
		for i := range j.Tasks {
			asked = append(asked, j.Tasks[i].Service)
		}
		done.seq = m.publish(msg{job: next, services: asked, id: next})
	}
	m.unnoted = append(m.unnoted, done)
}

func (m *model) relayEntry(t *rapid.T) {
	var free []uint64
	for k := range m.entries {
		if !slices.ContainsFunc(m.unnoted, func(s sent) bool { return s.key == k }) {
			free = append(free, k)
		}
	}
	if len(free) == 0 {
		return
	}
	slices.Sort(free)
	k := rapid.SampledFrom(free).Draw(t, "entry")
	e := m.entries[k]
	s := sent{key: k, job: e.job, entry: true}
	if j := m.jobs[e.job]; !j.Task(e.service).State.Ended() && j.Task(e.service).Entry == k {
		s.seq = m.publish(msg{job: e.job, services: []string{e.service}, id: k})
	}
	m.unnoted = append(m.unnoted, s)
}

func (m *model) note() {
	if len(m.unnoted) == 0 {
		return
	}
	s := m.unnoted[0]
	m.unnoted = m.unnoted[1:]
	if s.entry {
		delete(m.entries, s.key)
		return
	}
	m.position = max(m.position, s.key)
	j := m.jobs[s.job]
	for i := range j.Tasks {
		j.Tasks[i].Message = max(j.Tasks[i].Message, s.seq)
	}
}

// reissue asks again for a task that has not ended.
func (m *model) reissue(t *rapid.T, tasks []*job.Task, jobs []*job.Job) {
	var of []int
	for i, task := range tasks {
		if _, waits := m.entries[task.Entry]; !waits && !task.State.Ended() && task.Entry <= max(m.position, task.Entry*b(task.Entry != jobs[i].Key)) {
			of = append(of, i)
		}
	}
	if len(of) == 0 {
		return
	}
	i := rapid.SampledFrom(of).Draw(t, "task")
	m.key++
	tasks[i].Entry = m.key
	m.entries[m.key] = entry{jobs[i].Key, tasks[i].Service}
}

func b(yes bool) uint64 {
	if yes {
		return 1
	}
	return 0
}

func (m *model) all() (tasks []*job.Task, jobs []*job.Job) {
	for _, k := range slices.Sorted(maps.Keys(m.jobs)) {
		for i := range m.jobs[k].Tasks {
			tasks, jobs = append(tasks, &m.jobs[k].Tasks[i]), append(jobs, m.jobs[k])
		}
	}
	return tasks, jobs
}

// deliver hands any message of the stream to a worker, as a server may at any time, and has it begin, go on or end.
func (m *model) deliver(t *rapid.T) {
	if len(m.msgs) == 0 {
		return
	}
	to := m.msgs[rapid.SampledFrom(slices.Sorted(maps.Keys(m.msgs))).Draw(t, "message")]
	service := rapid.SampledFrom(to.services).Draw(t, "service")
	m.work(t, to.job, service, rapid.SampledFrom([]event.State{event.Running, event.Retrying, event.Succeeded, event.Dead}).Draw(t, "state"))
}

func (m *model) work(t *rapid.T, k uint64, service string, to event.State) {
	bed, key := m.beds[service], id(k)
	rec, there := bed.records[key]
	switch {
	case !there && m.begun[key+service]:
		t.Fatalf("job %s is done a second time by %s: its record had gone", key, service)
	case !there:
		m.begun[key+service] = true
		m.put(bed, key, event.Record{State: event.Running, Claim: 1})
	case rec.r.State.Ended():
	default:
		r := rec.r
		if r.State == event.Retrying {
			r.Claim++
		}
		r.State = to
		m.put(bed, key, r)
	}
}

// project reads one message or record.
func (m *model) project(t *rapid.T) {
	switch n := rapid.IntRange(0, 2).Draw(t, "reader"); n {
	case 2:
		m.projectMessage()
	default:
		m.projectRecord(services()[n])
	}
}

func (m *model) projectMessage() {
	if m.read >= m.last {
		return
	}
	m.read++
	to, there := m.msgs[m.read]
	if !there {
		m.read = max(m.read, min(m.first-1, m.last))
		return
	}
	for _, s := range to.services {
		t := m.jobs[to.job].Task(s)
		*t, _ = job.Asked(*t, m.read, 0)
	}
}

func (m *model) projectRecord(service string) {
	bed := m.beds[service]
	for bed.read < bed.last {
		bed.read++
		key := bed.at[bed.read]
		if key == "" || key == stream.OpenKey {
			continue
		}
		for _, j := range m.jobs {
			if j.ID == key {
				rec := bed.records[key]
				t := j.Task(service)
				*t, _ = job.Fold(*t, job.Seen{Record: &rec.r, Revision: rec.seq, At: rec.at})
			}
		}
		return
	}
}

// rewind has the readers begin again earlier.
func (m *model) rewind(t *rapid.T) {
	m.read -= min(m.read, uint64(rapid.IntRange(0, 5).Draw(t, "back")))
	for _, s := range services() {
		m.beds[s].read -= min(m.beds[s].read, uint64(rapid.IntRange(0, 5).Draw(t, "back")))
	}
}

// crash restarts the api: what was not noted is published again, and the server knows it again or not.
func (m *model) crash(t *rapid.T) {
	m.look = nil
	m.t.forget()
	m.rewind(t)
	known := rapid.Bool().Draw(t, "known to the server")
	old := m.unnoted
	m.unnoted = nil
	for _, s := range old {
		if known && s.seq != 0 {
			m.unnoted = append(m.unnoted, s) // the answer is the old sequence
			continue
		}
		break
	}
}

// powerLoss undoes the purges of the stream that the server had not synced. Whoever was connected is not any more.
func (m *model) powerLoss(*rapid.T) {
	for len(m.undo) > 0 && !m.undo[0].at.After(m.now.Add(-grace)) {
		m.undo = m.undo[1:]
	}
	if len(m.undo) == 0 || m.undo[0].last > m.last {
		return
	}
	m.first = m.undo[0].first
	for _, u := range m.undo {
		maps.Copy(m.msgs, u.msgs)
	}
	m.undo, m.look = nil, nil
	m.t.forget()
	m.read = m.first - 1
}

// check looks whether what has not ended can still be delivered.
func (m *model) check(t *rapid.T) {
	for s, b := range m.beds {
		if _, there := b.records[stream.OpenKey]; !there {
			t.Fatalf("the open key of %s is gone", s)
		}
	}
	tasks, jobs := m.all()
	for i, task := range tasks {
		k := jobs[i].Key
		if task.State.Ended() {
			continue
		}
		if !m.window[k] {
			t.Fatalf("job %d has not ended and is off the window: %+v", k, task)
		}
		if _, waits := m.entries[task.Entry]; waits || task.Entry == k && k > m.position {
			continue // it will be published
		}
		there := false
		for _, to := range m.msgs {
			there = there || to.job == k && slices.Contains(to.services, task.Service)
		}
		if !there {
			t.Fatalf("no message of job %d is left for %s: %+v", k, task.Service, task)
		}
		if rec, there := m.beds[task.Service].records[id(k)]; m.begun[id(k)+task.Service] && !there {
			t.Fatalf("the record of job %d for %s is gone: %+v", k, task.Service, rec)
		}
	}
}

func (m *model) step(t *rapid.T) {
	switch {
	case m.look == nil:
		m.lookFirst()
	case m.look.seen.Streams[stream.Users] == nil:
		m.lookOn()
	case m.look.orders == nil:
		m.plan(t)
	default:
		m.act(t, false)
	}
}

func TestNothingUnendedIsLostAndAllThatEndedGoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		t.Repeat(map[string]func(*rapid.T){
			"accept":  m.accept,
			"relay":   func(*rapid.T) { m.relay() },
			"entry":   m.relayEntry,
			"note":    func(*rapid.T) { m.note() },
			"reissue": func(t *rapid.T) { tasks, jobs := m.all(); m.reissue(t, tasks, jobs) },
			"deliver": m.deliver, "deliver more": m.deliver,
			"project": m.project, "project more": m.project, "project most": m.project,
			"rewind": m.rewind,
			"crash":  m.crash,
			"power":  m.powerLoss,
			"full":   func(*rapid.T) { m.full = !m.full },
			"time":   func(*rapid.T) { m.now = m.now.Add(time.Second) },
			"trim":   m.step, "trim more": m.step, "trim most": m.step,
			"": m.check,
		})
		m.finish(t)
	})
}

// finish lets everything end, and expects that nothing is left then.
func (m *model) finish(t *rapid.T) {
	m.look = nil
	for range 3 {
		for range 2 * len(m.jobs) {
			m.relay()
		}
		for len(m.entries) > 0 || len(m.unnoted) > 0 {
			m.relayEntry(t)
			m.note()
		}
		for _, seq := range slices.Sorted(maps.Keys(m.msgs)) {
			for _, s := range m.msgs[seq].services {
				m.work(t, m.msgs[seq].job, s, event.Succeeded)
				m.work(t, m.msgs[seq].job, s, event.Succeeded)
				m.work(t, m.msgs[seq].job, s, event.Succeeded)
			}
		}
		for m.read < m.last {
			m.projectMessage()
		}
		for s, b := range m.beds {
			for b.read < b.last {
				m.projectRecord(s)
			}
		}
	}
	for range 10 {
		m.now = m.now.Add(time.Second)
		m.lookFirst()
		m.lookOn()
		m.plan(t)
		m.act(t, true)
		m.check(t)
		for s, b := range m.beds {
			for b.read < b.last {
				m.projectRecord(s)
			}
		}
	}
	if len(m.msgs) > 0 || len(m.window) > 0 {
		t.Fatalf("all has ended, and %d messages and %d jobs on the window are left", len(m.msgs), len(m.window))
	}
	for s, b := range m.beds {
		if len(b.records) != 1 {
			t.Fatalf("all has ended, and the bucket of %s holds %d records", s, len(b.records))
		}
	}
}
