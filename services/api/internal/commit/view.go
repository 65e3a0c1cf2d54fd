package commit

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
	"handoff/shared/event"
)

// A View is the store as one transaction sees it: with everything that the transaction has changed so far.
type View struct {
	c        *Committer
	ch       Changes
	rollback []func()
	keyed    map[Sum]int // where in ch.Keyed
	off      []*job.Job  // that were off the window when they were edited first
	pruned   map[string]bool
}

// Job gives a job, not to be changed; see [View.Edit].
func (v *View) Job(id string) (*job.Job, error) {
	if v.pruned[id] {
		return nil, job.ErrNotFound
	}
	if j := v.ch.Jobs[id]; j != nil {
		return j, nil
	}
	if j := v.c.recent[id]; j != nil {
		return j, nil
	}
	return v.c.store.Job(id)
}

// Edit gives a job to be changed in this transaction. Whatever was handed out by an earlier one keeps what it said, as long as what
// the tasks point to is replaced and not written to.
//
// Nothing in NATS is known to be of a job that is off the window: what its tasks were known to have there may be of streams and buckets
// that are no more. One that has not ended after this transaction is on the window again.
func (v *View) Edit(id string) (*job.Job, error) {
	if j := v.ch.Jobs[id]; j != nil {
		return j, nil
	}
	j, err := v.Job(id)
	if err != nil {
		return nil, err
	}
	c := *j
	c.Tasks = append([]job.Task(nil), j.Tasks...)
	if c.State().Ended() {
		on, err := v.c.store.OnWindow(c.Key)
		if err != nil {
			return nil, err
		}
		if !on {
			forget(&c)
			v.off = append(v.off, &c)
		}
	}
	v.put(&c)
	return &c, nil
}

func forget(j *job.Job) {
	for i := range j.Tasks {
		t := &j.Tasks[i]
		t.Message, t.Revision, t.Touched = 0, 0, time.Time{}
	}
}

// finish says which jobs are on the window again, and which stay there: somebody may settle a job before another has it begin again.
func (v *View) finish() {
	for _, j := range v.off {
		if !j.State().Ended() {
			v.ch.Returned = append(v.ch.Returned, j.Key)
		}
	}
	if len(v.ch.Settled) == 0 {
		return
	}
	begun := map[uint64]bool{}
	for _, j := range v.ch.Jobs {
		begun[j.Key] = !j.State().Ended()
	}
	v.ch.Settled = slices.DeleteFunc(v.ch.Settled, func(k uint64) bool { return begun[k] })
}

func (v *View) put(j *job.Job) {
	if v.ch.Jobs == nil {
		v.ch.Jobs = map[string]*job.Job{}
	}
	v.ch.Jobs[j.ID] = j
}

// NextKey gives a log key that was never given before: one more than the last.
func (v *View) NextKey() uint64 {
	v.ch.LastKey++
	return v.ch.LastKey
}

// Accept adds a job and its event to the log, under the job's key, which must come from [View.NextKey].
func (v *View) Accept(a Accept, j *job.Job) {
	v.ch.Accepts = append(v.ch.Accepts, a)
	v.put(j)
}

// Accepted gives the log's row of a job.
func (v *View) Accepted(j *job.Job) (Accept, error) {
	for i := range v.ch.Accepts {
		if v.ch.Accepts[i].Key == j.Key {
			return v.ch.Accepts[i], nil
		}
	}
	return v.c.store.Accepted(j.Stream, j.Key)
}

// AddUser adds a user.
func (v *View) AddUser(u user.User) { v.ch.Users = append(v.ch.Users, u) }

// UserByKey gives the user with a log key.
func (v *View) UserByKey(key uint64) (user.User, error) {
	for _, u := range v.ch.Users {
		if u.Key == key {
			return u, nil
		}
	}
	return v.c.store.UserByKey(key)
}

// AddEntry adds a message for the relay, under its key, which must come from [View.NextKey], or else a new one, and gives it back.
func (v *View) AddEntry(e Entry) uint64 {
	if e.Key == 0 {
		e.Key = v.NextKey()
	}
	v.ch.Entries = append(v.ch.Entries, e)
	return e.Key
}

// Waits reports whether the accept or entry under a log key has not been published, as far as the store knows.
func (v *View) Waits(stream string, key uint64) (bool, error) {
	if slices.Contains(v.ch.Left, key) {
		return false, nil
	}
	for i := range v.ch.Entries {
		if v.ch.Entries[i].Key == key {
			return true, nil
		}
	}
	for i := range v.ch.Accepts {
		if v.ch.Accepts[i].Key == key {
			return !v.ch.Accepts[i].Read, nil
		}
	}
	position, set := v.ch.Positions[stream]
	if !set {
		var err error
		if position, err = v.c.store.Position(stream); err != nil {
			return false, err
		}
	}
	if key > position {
		a, err := v.c.store.Accepted(stream, key)
		if err == nil || !errors.Is(err, job.ErrNotFound) {
			return err == nil && !a.Read, err
		}
	}
	return v.c.store.EntryWaits(key)
}

// LeaveEntry removes an entry that has been published.
func (v *View) LeaveEntry(key uint64) { v.ch.Left = append(v.ch.Left, key) }

// AddOrphan keeps a record whose job is not known yet, unless one that says as much is kept already.
func (v *View) AddOrphan(o Orphan) {
	known := job.Task{Service: o.Service, State: event.Queued}
	found, _ := v.orphans(o.Job) // a store that can't be read shows that to the next who asks
	for _, f := range found {
		if f.Service == o.Service {
			known, _ = job.Fold(known, f.Seen)
		}
	}
	if _, news := job.Fold(known, o.Seen); news {
		v.ch.Orphans = append(v.ch.Orphans, o)
	}
}

// Adopt gives the records that were read before their job, and forgets them.
func (v *View) Adopt(jobID string) ([]Orphan, error) {
	found, err := v.orphans(jobID)
	if err == nil && len(found) > 0 {
		v.ch.Adopted = append(v.ch.Adopted, jobID)
	}
	return found, err
}

// DropOrphan forgets a record whose job will not come, unless it has been replaced since it was read.
func (v *View) DropOrphan(o Orphan) { v.ch.Dropped = append(v.ch.Dropped, o) }

func (v *View) orphans(jobID string) ([]Orphan, error) {
	found, err := v.c.store.OrphansOf(jobID)
	if err != nil {
		return nil, err
	}
	for _, o := range v.ch.Orphans {
		if o.Job == jobID {
			found = append(found, o)
		}
	}
	return found, nil
}

// SetPosition notes that all accepts of a stream up to key are in it.
func (v *View) SetPosition(stream string, key uint64) {
	if v.ch.Positions == nil {
		v.ch.Positions = map[string]uint64{}
	}
	v.ch.Positions[stream] = key
}

// SetCursor notes that a stream has been read up to a server time; the zero time has it read from its beginning.
func (v *View) SetCursor(stream string, at time.Time) {
	if v.ch.Cursors == nil {
		v.ch.Cursors = map[string]time.Time{}
	}
	v.ch.Cursors[stream] = at
}

// Mark gives how far a stream is known to have come; zero for one that was never seen.
func (v *View) Mark(stream string) (Mark, error) {
	if m, ok := v.ch.Marks[stream]; ok {
		return m, nil
	}
	return v.c.store.Mark(stream)
}

// RaiseMark notes that a stream has a message with a sequence, unless it is known to have come further. created is when the stream
// was made, zero where that is not known. A mark of a stream that was made at another time stays: it is what tells of the loss.
func (v *View) RaiseMark(stream string, created time.Time, sequence uint64) error {
	m, err := v.Mark(stream)
	if err != nil {
		return err
	}
	if m.Created.IsZero() {
		m.Created = created
	}
	if sequence > m.Highest && (created.IsZero() || created.Equal(m.Created)) {
		m.Highest = sequence
		v.SetMark(stream, m)
	}
	return nil
}

// SetMark notes how far a stream is known to have come.
func (v *View) SetMark(stream string, m Mark) {
	if v.ch.Marks == nil {
		v.ch.Marks = map[string]Mark{}
	}
	v.ch.Marks[stream] = m
}

// Settle takes a job off the window: it has ended, and its messages have left their stream for long enough. A job is on the window
// from its accept on, and again when it begins again.
func (v *View) Settle(key uint64) { v.ch.Settled = append(v.ch.Settled, key) }

// Prune removes a job that is off the window, with its row of the log and its key. Entries of it that still wait are skipped by the relay.
func (v *View) Prune(j *job.Job) {
	v.ch.Pruned = append(v.ch.Pruned, j)
	if v.pruned == nil {
		v.pruned = map[string]bool{}
	}
	v.pruned[j.ID] = true
}

// SetStore gives the store its id.
func (v *View) SetStore(id string) { v.ch.StoreID = id }

// SetStart raises the file's start number.
func (v *View) SetStart(n uint64) { v.ch.Start = n }

// SetMet notes that the store has met its NATS.
func (v *View) SetMet() { v.ch.Met = true }

// OnRollback has f called if the transaction is not written, to take back what was noted outside it.
func (v *View) OnRollback(f func()) { v.rollback = append(v.rollback, f) }

var (
	// ErrStopped is returned for what is handed to a committer that has stopped.
	ErrStopped = errors.New("the store is closing")
	// ErrNotWritten is returned by a [Store] that could not write and is unharmed by that: the next transaction may pass.
	ErrNotWritten = errors.New("the store does not take it")
	// ErrNoSpace is the [ErrNotWritten] of one that has no room.
	ErrNoSpace = fmt.Errorf("%w: no space left", ErrNotWritten)
)
