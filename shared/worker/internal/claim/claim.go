// Package claim decides who does a task: what to do with a delivery, given the task's record as it was read ([Decide]),
// and what the record becomes when a claim begins ([Begin]) and ends ([End]), or the task is given up ([Buried]).
//
// The functions read no clock and write nothing. The worker's loop reads, asks, and writes by compare-and-set.
package claim

import (
	"time"

	"handoff/shared/event"
)

// An Action is what to do with a delivery.
type Action int

// The actions there are.
const (
	// Drop lets the delivery go without a word: it is old enough that the server may have given it to somebody else.
	Drop Action = iota
	// Skip acks: there is nothing to do.
	Skip
	// Create claims the task by creating its record.
	Create
	// TakeOver claims the task by replacing its record at the revision that was read.
	TakeOver
	// Later naks for Decision.Delay.
	Later
	// Attach lets the claim that runs in this process speak for the delivery, too.
	Attach
	// Watch keeps the delivery alive for half an AckWait and reads the record again.
	Watch
	// Bury records the task as dead without running it, at the revision that was read, for Decision.Reason.
	Bury
)

func (a Action) String() string {
	return [...]string{"drop", "skip", "create", "take over", "later", "attach", "watch", "bury"}[a]
}

// An Input is everything that a decision depends on.
type Input struct {
	Now        time.Time
	AckWait    time.Duration
	Silent     time.Duration // since the delivery was asked for or last kept alive, by whichever clock says more
	Asked      bool          // whether the event asks for this service
	Generation int           // the message's
	NotAfter   *time.Time    // the event's
	Attempts   int           // how many there may be

	Record   *event.Record // nil when there is none
	Revision uint64
	Mine     bool // the record's claim runs in this process

	// Watched is the revision seen at the beginning of an unbroken watch of half an AckWait that has just ended; 0 for none.
	Watched    uint64
	WatchSpace bool // whether another delivery may be watched
}

// A Decision is an Action with what it needs.
type Decision struct {
	Action Action
	Delay  time.Duration
	Reason string
}

// Decide is the one rule by which tasks are claimed.
func Decide(in Input) Decision {
	r := in.Record
	switch {
	case in.Silent > in.AckWait/2:
		return Decision{Action: Drop}
	case !in.Asked:
		return Decision{Action: Skip}
	case r == nil:
		return begin(in, Create)
	case r.State.Ended():
		if in.Generation > r.Generation {
			return begin(in, TakeOver)
		}
		return Decision{Action: Skip}
	case r.State == event.Retrying:
		if r.Due != nil && r.Due.After(in.Now) {
			return Decision{Action: Later, Delay: r.Due.Sub(in.Now)}
		}
		return begin(in, TakeOver)
	case in.Mine && in.Generation > r.Generation:
		// The claim ends a generation that is over; what this message asks for begins after it.
		return Decision{Action: Later, Delay: in.AckWait}
	case in.Mine:
		return Decision{Action: Attach}
	case in.Watched == in.Revision:
		return begin(in, TakeOver)
	case in.Watched != 0: // it has moved: its holder lives
		return Decision{Action: Later, Delay: in.AckWait}
	case !in.WatchSpace:
		return Decision{Action: Later, Delay: in.AckWait}
	}
	return Decision{Action: Watch}
}

func begin(in Input, how Action) Decision {
	switch {
	case in.NotAfter != nil && in.Now.After(*in.NotAfter):
		return Decision{Action: Bury, Reason: "not begun by its deadline, " + in.NotAfter.UTC().Format(time.RFC3339)}
	case in.Record != nil && in.Record.Generation >= in.Generation && !in.Record.Released && in.Record.Attempt >= in.Attempts:
		if in.Record.State == event.Running {
			return Decision{Action: Bury, Reason: "attempts used up: the process that ran the last one did not come back"}
		}
		return Decision{Action: Bury, Reason: event.Cut("attempts used up: "+in.Record.Error, event.MaxError)}
	}
	return Decision{Action: how}
}

// Begin is the record of a claim that begins: running, held by token. prev is the record that it replaces, nil for none.
func Begin(prev *event.Record, generation int, token, trace string, now time.Time) *event.Record {
	now = now.UTC()
	r := &event.Record{State: event.Running, Generation: generation, Claim: 1, Attempt: 1, Holder: token, TraceParent: trace, Started: &now}
	if prev != nil {
		r.Claim = prev.Claim + 1
		r.Steps = prev.Steps
		if prev.Generation >= generation {
			r.Generation, r.Started, r.Error = prev.Generation, prev.Started, prev.Error
			r.Attempt = prev.Attempt
			if !prev.Released {
				r.Attempt++
			}
		}
	}
	r.AddStep(now, "")
	return r
}

// Buried is the record of a task that is dead without having been run, by token for reason. prev is the record that it
// replaces, nil for none.
func Buried(prev *event.Record, generation int, token, trace, reason string, now time.Time) *event.Record {
	now = now.UTC()
	r := &event.Record{Generation: generation, TraceParent: trace}
	if prev != nil {
		r.Claim, r.Steps = prev.Claim, prev.Steps
		if prev.Generation >= generation {
			r.Generation, r.Attempt, r.Started = prev.Generation, prev.Attempt, prev.Started
		}
	}
	r.Claim++
	r.State, r.Holder, r.Error, r.Ended = event.Dead, token, event.Cut(reason, event.MaxError), &now
	r.AddStep(now, r.Error)
	return r
}

// An Outcome is how an attempt ended.
type Outcome struct {
	Result    []byte // JSON; of a success
	Err       error  // nil for a success
	Permanent bool   // Err will not go away by trying again
	Release   bool   // the attempt was broken off by a shutdown or a pause and counts as none
	Delay     time.Duration
}

// End is the record of a claim that ends. attempts is how many there may be, notAfter the event's deadline.
func End(running *event.Record, o Outcome, attempts int, notAfter *time.Time, now time.Time) *event.Record {
	now = now.UTC()
	r := *running
	r.Due, r.Released = nil, false
	switch {
	case o.Release:
		r.State, r.Released, r.Due = event.Retrying, true, &now
	case o.Err == nil:
		r.State, r.Result, r.Error, r.Ended = event.Succeeded, o.Result, "", &now
	default:
		due := now.Add(o.Delay)
		r.Error = event.Cut(o.Err.Error(), event.MaxError)
		if o.Permanent || r.Attempt >= attempts || (notAfter != nil && due.After(*notAfter)) {
			r.State, r.Ended = event.Dead, &now
		} else {
			r.State, r.Due = event.Retrying, &due
		}
	}
	stepError := ""
	if o.Err != nil {
		stepError = o.Err.Error()
	}
	r.AddStep(now, stepError)
	return &r
}
