package worker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/shared/event"
	"handoff/shared/stream"
	"handoff/shared/worker/internal/claim"
)

// delivery is one message in this process's hands, from the fetch until it is answered or let go.
type delivery struct {
	lane  *lane
	msg   jetstream.Msg
	alive time.Time // when it was asked for, or the server last told that it is in good hands
	slot  bool      // whether it holds one of the lane's slots

	env        *event.Envelope
	task       *task
	generation int
	token      string // of the claim that it may become

	known    bool // whether record and revision have been read
	record   *event.Record
	revision uint64
	watched  uint64
}

// run decides and acts until the delivery is answered. ctx ends when no new work may begin, hard when what runs must end.
func (d *delivery) run(ctx, hard context.Context) {
	if !d.open() {
		return
	}
	for {
		if ctx.Err() != nil {
			_ = d.msg.Nak()
			return
		}
		if err := d.look(ctx); err != nil {
			d.lane.w.log.Debug("Look at a record", "job", d.env.ID, "error", err)
			if !d.pause(ctx, 100*time.Millisecond) {
				return
			}
			continue
		}
		if d.act(ctx, hard) {
			return
		}
	}
}

// open decodes the message; what can't be decoded is terminated.
func (d *delivery) open() bool {
	w := d.lane.w
	env, err := event.Decode(d.msg.Data())
	if err != nil {
		w.log.Warn("Event can't be decoded", "subject", d.msg.Subject(), "error", err)
		w.metrics.end("", "undecodable", 0)
		_ = d.msg.TermWithReason(event.Cut(err.Error(), 200))
		return false
	}
	d.env, d.task = env, w.tasks[env.Type]
	if g, err := strconv.Atoi(d.msg.Headers().Get(stream.HeaderGeneration)); err == nil && g > 0 {
		d.generation = g
	}
	d.token = newToken()
	// The first delivery of a message hardly ever finds a record: create it unseen, the server refuses if there is one.
	if md, err := d.msg.Metadata(); err == nil && md.NumDelivered == 1 && d.asked() {
		d.known = true
	}
	return true
}

func newToken() string {
	var b [12]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// asked reports whether the event asks for this service.
func (d *delivery) asked() bool {
	if d.task == nil {
		return false
	}
	services := d.env.Services()
	if services == nil {
		services = stream.AskedBy(d.msg.Subject())
	}
	return slices.Contains(services, d.lane.w.cfg.Service)
}

// look reads the record, unless it is known, once the bucket is known to be whole.
func (d *delivery) look(ctx context.Context) error {
	open, err := d.lane.w.bucket.isOpen(ctx)
	if err != nil {
		return err
	}
	if !open {
		d.known = false
		return errors.New("bucket is being restored")
	}
	if d.known {
		return nil
	}
	d.record, d.revision, err = d.lane.w.bucket.read(ctx, d.env.ID)
	d.known = err == nil
	return err
}

// act does what the claim rule says and reports whether the delivery is settled.
func (d *delivery) act(ctx, hard context.Context) bool {
	l, w := d.lane, d.lane.w
	now := time.Now()
	var own *holder
	if d.record != nil {
		own = w.held.find(d.record.Holder)
	}
	watchSpace := d.takeWatch()
	attempts := 1
	if d.task != nil {
		attempts = d.task.spec.Attempts
	}
	dec := claim.Decide(claim.Input{
		Now: now, AckWait: l.ackWait, Silent: since(d.alive, now), Asked: d.asked(), Generation: d.generation,
		NotAfter: d.env.NotAfter, Attempts: attempts,
		Record: d.record, Revision: d.revision, Mine: own != nil || d.heldByMe(),
		Watched: d.watched, WatchSpace: watchSpace,
	})
	if dec.Action != claim.Watch && watchSpace {
		l.watches <- struct{}{}
	}
	d.watched = 0
	switch dec.Action {
	case claim.Skip:
		_ = d.msg.Ack()
		return true
	case claim.Later:
		_ = d.msg.NakWithDelay(dec.Delay)
		return true
	case claim.Create, claim.TakeOver:
		return d.begin(ctx, hard, now)
	case claim.Bury:
		return d.bury(ctx, dec.Reason, now)
	case claim.Attach:
		if own == nil { // the answer to this delivery's own claim was lost
			return d.hold(hard, d.record, d.revision)
		}
		d.known = false
		return own.attach(d.msg)
	case claim.Watch:
		d.watch(ctx)
		l.watches <- struct{}{}
		return false
	case claim.Drop:
	}
	return true
}

func (d *delivery) heldByMe() bool {
	return d.record != nil && d.record.State == event.Running && d.record.Holder == d.token
}

// since is the time from a to b by the monotonic or the wall clock, whichever says more: one stands still while a machine
// sleeps, the other can be set.
func since(a, b time.Time) time.Duration {
	return max(b.Sub(a), b.Round(0).Sub(a.Round(0)))
}

func (d *delivery) takeWatch() bool {
	if d.record == nil || d.record.State != event.Running || d.watched != 0 {
		return false
	}
	select {
	case <-d.lane.watches:
		return true
	default:
		return false
	}
}

// begin writes the record of a new claim and, if it comes through, runs the task.
func (d *delivery) begin(ctx, hard context.Context, now time.Time) bool {
	if !d.slot && !d.takeSlot(ctx) {
		return true
	}
	b := d.lane.w.bucket
	before := b.highest()
	next := claim.Begin(d.record, d.generation, d.token, d.env.TraceParent, now)
	revision, err := b.write(hard, d.env.ID, next, d.revision)
	if err == nil && revision > before {
		return d.hold(hard, next, revision)
	}
	if err == nil {
		// The bucket counts anew: it was lost and made again since. Look whether it is whole before believing the claim.
		b.doubt()
	}
	d.known = false
	switch {
	case err == nil, errors.Is(err, errConflict):
		return false
	case errors.Is(err, errFull):
		_ = d.msg.NakWithDelay(d.lane.ackWait)
		return true
	}
	d.lane.w.log.Debug("Claim", "job", d.env.ID, "error", err)
	return !d.pause(ctx, 250*time.Millisecond)
}

// hold runs the task under the claim just written.
func (d *delivery) hold(hard context.Context, r *event.Record, revision uint64) bool {
	h := newHolder(d, r, revision)
	d.lane.w.held.add(h)
	h.run(hard)
	return true
}

// bury records the task as dead without running it.
func (d *delivery) bury(ctx context.Context, reason string, now time.Time) bool {
	running := claim.Begin(d.record, d.generation, d.token, d.env.TraceParent, now)
	if d.record != nil {
		running.Attempt, running.Steps = d.record.Attempt, d.record.Steps
	}
	dead := claim.End(running, claim.Outcome{Err: errors.New(reason), Permanent: true}, 0, nil, now)
	if _, err := d.lane.w.bucket.write(ctx, d.env.ID, dead, d.revision); err != nil {
		d.known = false
		return !errors.Is(err, errConflict) && !d.pause(ctx, 250*time.Millisecond)
	}
	d.lane.w.log.Warn("Task is dead", "job", d.env.ID, "task", d.task.spec.Task, "error", reason)
	d.lane.w.metrics.end(d.task.spec.Task, "dead", 0)
	_ = d.msg.TermWithReason(event.Cut(reason, 200))
	return true
}

// watch keeps the delivery alive for half an AckWait and notes the record's revision, unless the connection was lost meanwhile.
func (d *delivery) watch(ctx context.Context) {
	d.freeSlot()
	seen := d.revision
	epoch, up := d.lane.w.link.epoch()
	d.known = false
	for range 2 {
		d.keepAlive()
		if !sleep(ctx, d.lane.ackWait/4) {
			return
		}
	}
	d.keepAlive()
	if now, still := d.lane.w.link.epoch(); up && still && now == epoch {
		d.watched = seen
	}
}

func (d *delivery) keepAlive() {
	now := time.Now()
	if since(d.alive, now) <= d.lane.ackWait/2 && d.lane.w.nc.IsConnected() && d.msg.InProgress() == nil {
		d.alive = now
	}
}

// pause waits before the next look and keeps the delivery alive; false when it has been silent for too long, or ctx has
// ended, and it is to be let go.
func (d *delivery) pause(ctx context.Context, t time.Duration) bool {
	if !sleep(ctx, t) {
		_ = d.msg.Nak()
		return false
	}
	if since(d.alive, time.Now()) > d.lane.ackWait/4 {
		d.keepAlive()
	}
	return since(d.alive, time.Now()) <= d.lane.ackWait/2
}

func sleep(ctx context.Context, t time.Duration) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (d *delivery) freeSlot() {
	if d.slot {
		d.slot = false
		d.lane.free <- struct{}{}
	}
}

// takeSlot waits for a slot and keeps the delivery alive meanwhile; false when it is to be let go.
func (d *delivery) takeSlot(ctx context.Context) bool {
	for {
		select {
		case <-d.lane.free:
			d.slot = true
			return true
		case <-ctx.Done():
			_ = d.msg.Nak()
			return false
		case <-time.After(d.lane.ackWait / 4):
			d.keepAlive()
			if since(d.alive, time.Now()) > d.lane.ackWait/2 {
				return false
			}
		}
	}
}
