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
	lane    *lane
	msg     jetstream.Msg
	ackWait time.Duration
	alive   time.Time // when it was asked for, or the server last told that it is in good hands
	slot    bool      // whether it holds one of the lane's slots

	env        *event.Envelope
	task       *task // nil when this process has no handler for it
	generation int
	token      string // of the claim that it may become
	claimed    bool   // a claim was written, and it is not known that it was refused

	pass     pass // with which the record was read
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
	if d.task == nil && d.asked() && stream.TaskName(d.lane.w.cfg.Service, d.env.Type) != "" {
		d.lane.w.log.Warn("No handler for an event that asks for one: left to another version", "job", d.env.ID, "type", string(d.env.Type))
		_ = d.msg.NakWithDelay(d.ackWait)
		return
	}
	patience := time.Now().Add(d.ackWait / 2)
	for {
		if ctx.Err() != nil && !d.claimed || hard.Err() != nil {
			_ = giveBack(d.msg)
			return
		}
		err := d.look(hard)
		switch {
		case err == nil:
			if d.act(ctx, hard) {
				return
			}
			patience = time.Now().Add(d.ackWait / 2)
		case errors.Is(err, errUnreadable):
			d.lane.w.log.Error("A task's record can't be read: left to another version", "job", d.env.ID, "error", err)
			_ = d.msg.NakWithDelay(d.ackWait)
			return
		default:
			d.lane.w.log.Debug("Look at a record", "job", d.env.ID, "error", err)
			if !d.pause(ctx, 100*time.Millisecond) {
				return
			}
			if !d.claimed && time.Now().After(patience) { // its slot is of more use to the lane, which knows what to wait for
				_ = d.msg.NakWithDelay(d.ackWait / 4)
				return
			}
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
	services := d.env.Services()
	if services == nil {
		services = stream.AskedBy(d.msg.Subject())
	}
	return slices.Contains(services, d.lane.w.cfg.Service)
}

// look reads the record, unless it is known, once the bucket is known to be whole.
func (d *delivery) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stream.AckWait/2)
	defer cancel()
	pass, open, err := d.lane.w.bucket.isOpen(ctx)
	if err != nil {
		return err
	}
	if !open {
		d.known = false
		return errors.New("bucket is being restored")
	}
	if d.known {
		d.pass = pass
		return nil
	}
	d.record, d.revision, err = d.lane.w.bucket.read(ctx, d.env.ID)
	d.pass, d.known = pass, err == nil
	return err
}

// act does what the claim rule says and reports whether the delivery is settled.
func (d *delivery) act(ctx, hard context.Context) bool {
	l, w := d.lane, d.lane.w
	if d.heldByMe() {
		return d.adopt(ctx, hard)
	}
	d.claimed = false
	if ctx.Err() != nil {
		return false
	}
	now := w.clock.now()
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
		Now: now, AckWait: d.ackWait, Silent: since(d.alive, time.Now()), Asked: d.asked(), Generation: d.generation,
		NotAfter: d.env.NotAfter, Attempts: attempts,
		Record: d.record, Revision: d.revision, Mine: own != nil,
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
		if d.task == nil {
			return d.bury(ctx, "the service does nothing for "+string(d.env.Type), now)
		}
		return d.begin(ctx, hard)
	case claim.Bury:
		return d.bury(ctx, dec.Reason, now)
	case claim.Attach:
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

// heldByMe reports whether the record is of the claim that this delivery has written.
func (d *delivery) heldByMe() bool {
	return d.record != nil && d.record.State == event.Running && d.record.Holder == d.token
}

// begin writes the record of a new claim and, if it comes through, runs the task.
func (d *delivery) begin(ctx, hard context.Context) bool {
	if !d.slot && !d.takeSlot(ctx) {
		return true
	}
	return d.claim(ctx, hard, claim.Begin(d.record, d.generation, d.token, d.env.TraceParent, d.lane.w.clock.now()))
}

// adopt makes sure of a claim that was written and could not be believed at once: because its answer was lost or late, or
// because the bucket had to be looked at first. Written once more it is known to stand, and that it lives shows.
func (d *delivery) adopt(ctx, hard context.Context) bool {
	return d.claim(ctx, hard, d.record)
}

func (d *delivery) claim(ctx, hard context.Context, next *event.Record) bool {
	b := d.lane.w.bucket
	before, began := b.highest(), time.Now()
	d.known, d.claimed = false, true
	revision, err := b.write(hard, d.env.ID, next, d.revision)
	switch {
	case err == nil && b.believe(d.pass, before, revision) && since(began, time.Now()) <= d.ackWait/4:
		return d.hold(hard, next, revision)
	case err == nil, errors.Is(err, errConflict):
		return false
	case errors.Is(err, errFull):
		_ = d.msg.NakWithDelay(d.ackWait)
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
	dead := claim.Buried(d.record, d.generation, d.token, d.env.TraceParent, reason, now)
	d.known = false
	if _, err := d.lane.w.bucket.write(ctx, d.env.ID, dead, d.revision); err != nil {
		return !errors.Is(err, errConflict) && !d.pause(ctx, 250*time.Millisecond)
	}
	name := stream.TaskName(d.lane.w.cfg.Service, d.env.Type)
	d.lane.w.log.Warn("Task is dead", "job", d.env.ID, "task", name, "error", reason)
	d.lane.w.metrics.end(name, "dead", 0)
	_ = d.msg.TermWithReason(event.Cut(reason, 200))
	return true
}
