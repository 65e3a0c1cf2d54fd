package workertest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"handoff/shared/event"
	"handoff/shared/stream"
	"handoff/shared/worker"
)

// A Suite says whose handler is checked, and by what.
type Suite struct {
	Service string
	// Run is the service itself, or a [Handler].
	Run Run
	// Payload is that of the nth event, with which the handler must succeed.
	Payload func(n int) event.Payload
	// Effects counts how often the effect is there that has a key ([event.Event.Key]); the job's id is what stands before its dot. It
	// shall be there once, however often the handler has run. Nil when the handler has no effect.
	Effects func(r *Rig, key string) int
	// Hangs is a payload at which the handler works until its context ends, such as one that leads to a far side which does not
	// answer. Nil leaves those checks out.
	Hangs event.Payload
	// Timeout is the handler's Spec.Timeout, if it is short enough to be waited for. Zero leaves that check out.
	Timeout time.Duration
}

const (
	// jobs is how many each check asks for, at least.
	jobs = 3
	// never is an AckWait within which nothing comes again for want of an answer.
	never = 10 * time.Minute
	// soon is one that passes in a test, and is longer than a busy machine stands still.
	soon = time.Second
	// grace is enough for what needs no far side.
	grace = 10 * time.Second
)

type check struct {
	name string
	do   func(Suite, *Rig) error
}

func checks() []check {
	return []check{
		{"events that come once", Suite.once},
		{"events that come twice", Suite.twice},
		{"a redrive", Suite.redrive},
		{"restarts of the service", Suite.restarts},
		{"a restart of NATS", Suite.outage},
		{"a crash between the effect and its record", Suite.crash},
		{"a stop while it hangs", Suite.hangs},
		{"a time-out", Suite.timesOut},
	}
}

// Check runs the suite, each part of it as a test with a server of its own.
func (s Suite) Check(t *testing.T) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.do(s, newRig(t, s.Service, s.Run)); errors.Is(err, errLeftOut) {
				t.Skip(err)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

var errLeftOut = errors.New("left out, by the suite's fields")

// ask asks for the jobs of a check and gives their ids.
func (s Suite) ask(r *Rig, check string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%02d", check, i) // none is the beginning of another
		r.Ask(ids[i], s.Payload(i))
	}
	return ids
}

// done waits until the jobs have succeeded at a generation, and looks at their effects.
func (s Suite) done(r *Rig, ids []string, generation int) error {
	for _, id := range ids {
		record, err := r.await(id, func(record *event.Record) bool { return record.State.Ended() && record.Generation >= generation })
		switch {
		case err != nil:
			return err
		case record.State != event.Succeeded:
			return fmt.Errorf("job %s is %s: %s", id, record.State, record.Error)
		}
	}
	if s.Effects == nil {
		return nil
	}
	for _, id := range ids {
		if n := s.Effects(r, event.Key(id, s.Service)); n != 1 {
			return fmt.Errorf("the effect of job %s is there %d times, want once: name it after the event's Key", id, n)
		}
	}
	return nil
}

func (s Suite) once(r *Rig) error {
	r.setAckWait(never)
	p := r.begin(r.server.Connect(), grace)
	if err := s.done(r, s.ask(r, "once", jobs), 0); err != nil {
		return err
	}
	return p.stop()
}

func (s Suite) twice(r *Rig) error {
	r.setAckWait(never)
	p := r.begin(r.server.Connect(), grace)
	ids := s.ask(r, "twice", jobs)
	s.ask(r, "twice", jobs)
	if err := s.done(r, ids, 0); err != nil {
		return err
	}
	s.ask(r, "twice", jobs)
	if err := s.done(r, s.ask(r, "after", 1), 0); err != nil { // by then those were delivered
		return err
	}
	if err := p.stop(); err != nil {
		return err
	}
	return s.done(r, ids, 0)
}

func (s Suite) redrive(r *Rig) error {
	r.setAckWait(never)
	p := r.begin(r.server.Connect(), grace)
	ids := s.ask(r, "redriven", jobs)
	if err := s.done(r, ids, 0); err != nil {
		return err
	}
	for _, id := range ids {
		r.Redrive(id)
	}
	if err := s.done(r, ids, 1); err != nil {
		return err
	}
	return p.stop()
}

// restarts stops the service, with time to finish, each time that it has begun with something.
func (s Suite) restarts(r *Rig) error {
	r.setAckWait(stream.AckWait) // what was under way to a process that stops may have to come again
	ids := s.ask(r, "restarted", 10*jobs)
	for next := 0; next < len(ids); next += jobs {
		p := r.begin(r.server.Connect(), grace)
		if _, err := r.await(ids[next], func(*event.Record) bool { return true }); err != nil {
			return err
		}
		if err := p.stop(); err != nil {
			return err
		}
	}
	p := r.begin(r.server.Connect(), grace)
	if err := s.done(r, ids, 0); err != nil {
		return err
	}
	return p.stop()
}

// outage restarts NATS while there is work.
func (s Suite) outage(r *Rig) error {
	r.setAckWait(2 * soon)
	p := r.begin(r.server.Connect(), grace)
	ids := s.ask(r, "before", 10*jobs)
	r.server.Restart()
	if !eventually(r.js.Conn().IsConnected) {
		return errors.New("NATS does not come back")
	}
	if err := s.done(r, append(ids, s.ask(r, "behind", jobs)...), 0); err != nil {
		return err
	}
	return p.stop()
}

// crash delivers every event twice, and has each job kill a process between its effect and its record.
func (s Suite) crash(r *Rig) error {
	r.setAckWait(soon)
	ids := s.ask(r, "crashed", jobs)
	s.ask(r, "crashed", jobs)
	c := newCrasher(s.Service)
	for c.killed() < len(ids) {
		nc, dead, err := c.connect(r.server.URL())
		if err != nil {
			return err
		}
		p := r.begin(nc, time.Millisecond)
		select {
		case <-dead:
		case <-p.ended:
		case <-time.After(patience):
			return fmt.Errorf("%d of %d jobs come to an end", c.killed(), len(ids))
		}
		_ = p.stop() // it is dead to everybody else: nothing that it says now is heard
		nc.Close()
	}
	p := r.begin(r.server.Connect(), grace)
	if err := s.done(r, ids, 0); err != nil {
		return err
	}
	return p.stop()
}

func (s Suite) hangs(r *Rig) error {
	if s.Hangs == nil {
		return errLeftOut
	}
	r.setAckWait(never)
	p := r.begin(r.server.Connect(), time.Millisecond)
	r.Ask("hangs", s.Hangs)
	if _, err := r.await("hangs", func(*event.Record) bool { return true }); err != nil {
		return err
	}
	if err := p.stop(); err != nil {
		return err
	}
	record, err := r.record("hangs")
	if err != nil {
		return err
	}
	if record.State != event.Retrying || !record.Released {
		return fmt.Errorf("at a stop the task is left as %+v: the handler does not work until its context ends", record)
	}
	return s.listens(p)
}

func (s Suite) timesOut(r *Rig) error {
	if s.Hangs == nil || s.Timeout == 0 {
		return errLeftOut
	}
	r.setAckWait(never)
	p := r.begin(r.server.Connect(), grace)
	r.Ask("times-out", s.Hangs)
	record, err := r.await("times-out", func(record *event.Record) bool { return record.State != event.Running })
	if err != nil {
		return err
	}
	if !strings.HasPrefix(record.Error, worker.ErrTimeout.Error()) {
		return fmt.Errorf("the task was to time out and is %s: %s", record.State, record.Error)
	}
	if err := s.listens(p); err != nil {
		return err
	}
	return p.stop()
}

// listens looks whether a handler has gone on after the end of its context.
func (s Suite) listens(p *process) error {
	n, err := p.abandoned()
	if err == nil && n > 0 {
		err = errors.New("the handler ignores the end of its context")
	}
	return err
}
