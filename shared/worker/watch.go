package worker

import (
	"context"
	"time"

	"handoff/shared/event"
)

// watch keeps the delivery alive for half an AckWait and notes the record's revision, unless the connection was lost meanwhile.
func (d *delivery) watch(ctx context.Context) {
	d.freeSlot()
	seen := d.revision
	epoch, up := d.lane.w.link.epoch()
	d.known = false
	for range 2 {
		d.keepAlive()
		if !sleep(ctx, d.ackWait/4) {
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
	if since(d.alive, now) <= d.ackWait/2 && d.lane.w.nc.IsConnected() && d.msg.InProgress() == nil {
		d.alive = now
	}
}

// pause waits before the next look and keeps the delivery alive; false when it has been silent for too long, or ctx has
// ended, and it is to be let go. One whose claim may have come through is not let go: it looks first.
func (d *delivery) pause(ctx context.Context, t time.Duration) bool {
	if d.claimed {
		ctx = context.WithoutCancel(ctx)
	}
	if !sleep(ctx, t) {
		_ = giveBack(d.msg)
		return false
	}
	if since(d.alive, time.Now()) > d.ackWait/4 {
		d.keepAlive()
	}
	return d.claimed || since(d.alive, time.Now()) <= d.ackWait/2
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
			_ = giveBack(d.msg)
			return false
		case <-time.After(d.ackWait / 4):
			d.keepAlive()
			if since(d.alive, time.Now()) > d.ackWait/2 {
				return false
			}
		}
	}
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
