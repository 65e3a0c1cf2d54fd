package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/cancel"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/health"
	"handoff/services/api/internal/lease"
	"handoff/services/api/internal/objectstore"
	"handoff/services/api/internal/projection"
	"handoff/services/api/internal/reconcile"
	"handoff/services/api/internal/records"
	"handoff/services/api/internal/redrive"
	"handoff/services/api/internal/reissue"
	"handoff/services/api/internal/relay"
	"handoff/services/api/internal/schedule"
	"handoff/services/api/internal/services"
	"handoff/services/api/internal/sweep"
	"handoff/services/api/internal/trim"
	"handoff/services/api/internal/watch"
	"handoff/services/api/internal/web"
	"handoff/shared/daemon"
	"handoff/shared/stream"
)

const (
	// publishAsyncMax must hold the windows of all of the relay's lanes.
	publishAsyncMax     = 1 << 15
	publishAsyncTimeout = 5 * time.Second
)

// Run serves the api until ctx ends, and then stops in the order in which nothing is lost: requests, what is on its way to NATS,
// the store.
func Run(ctx context.Context, p *daemon.Process, cfg Config) error {
	streams, err := cfg.streams()
	if err != nil {
		return daemon.BadConfig(err)
	}
	store, err := bolt.Open(cfg.storePath())
	if err != nil {
		return daemon.BadConfig(err)
	}
	defer func() { _ = store.Close() }() // everything has been written with an fsync
	me, err := store.Identity()
	if err != nil {
		return err
	}
	known, err := load(store, streams)
	if err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return daemon.BadConfig(fmt.Errorf("ADDR: %w", err))
	}
	js, err := jetstream.New(p.NATS,
		jetstream.WithPublishAsyncMaxPending(publishAsyncMax), jetstream.WithPublishAsyncTimeout(publishAsyncTimeout))
	if err != nil {
		return errors.Join(fmt.Errorf("open JetStream: %w", err), ln.Close())
	}

	var out *relay.Relay
	var roster *records.Writer
	var cancels *cancel.Teller
	var trimmer *trim.Trimmer
	waits := watch.New(store)
	writer := commit.New(store, known.lastKey, func(c *commit.Changes) { out.Committed(c) }, func(c *commit.Changes) { roster.Committed(c) },
		func(c *commit.Changes) { cancels.Committed(c) }, func(c *commit.Changes) { trimmer.Committed(c) }, known.keys.Committed,
		known.backlog.Committed, known.schedule.Committed, waits.Committed)
	keeper := reconcile.New(p.NATS, js, streams, p.Log)
	cancels = cancel.New(cancel.Options{NATS: p.NATS, JetStream: js, Store: store, Writer: writer, Gate: keeper, Log: p.Log}, known.backlog)
	if out, err = relay.New(store, writer, keeper, js, p.Log); err != nil {
		return errors.Join(err, ln.Close())
	}
	out.Limit(cfg.UnrelayedMax)
	facts := records.NewReader(known.met, writer, known.emails, keeper, js, p.Log)
	roster = records.NewWriter(store, facts, js, cfg.SyncInterval, p.Log)
	in := accept.New(writer, out, known.emails, known.keys, time.Now)
	in.LimitUsers(roster)
	back := projection.New(store, writer, facts.Gate(), known.emails, js, p.Log)
	recovery := &lease.Recovery{
		JetStream: js, Writer: writer, CatchUp: []func(context.Context) error{keeper.CatchUp, roster.CatchUp},
		Backlog: known.backlog, LastKey: known.lastKey, Now: time.Now, Log: p.Log,
	}
	holder := lease.New(lease.Options{
		NATS: p.NATS, JetStream: js, Writer: writer, Me: me, Recover: recovery.Run, Changed: keeper.Check, Log: p.Log,
	})
	in.Under(holder)
	in.By(known.schedule)
	due := schedule.Parts{Writer: writer, Gate: keeper, Allowed: holder.Leading, Log: p.Log}
	sweeper := sweep.New(sweep.Options{
		JetStream: js, Writer: writer, Backlog: known.backlog, Projection: back, Gate: keeper, Allowed: holder.Leading, Log: p.Log,
	})
	keeper.Restore(reconcile.Parts{Holder: holder, Store: store, Writer: writer, Backlog: known.backlog, Relay: out, Reading: back, Sweep: sweeper})
	trimmer = trim.New(trim.Parts{
		Store: store, Writer: writer, Backlog: known.backlog, Open: keeper.Whole, Reading: back, JetStream: js, Log: p.Log, Now: time.Now,
		Reissue: reissue.Task, Refused: out.Refuses, Recorded: roster.SafePosition, Leader: holder,
	}, cfg.limits())
	meeting := reconcile.NewMeeting(known.met, back.CaughtUp(), writer, in, keeper)
	ready := func() error { return errors.Join(holder.Ready(), meeting.Ready(), roster.Err(), trimmer.Err()) }
	staff := services.New(js, time.Now)
	report := health.Sources{
		NATS: p.NATS, JetStream: js, Store: store, Relay: out, Projection: back, Streams: keeper, Records: roster, Services: staff, Ready: ready,
	}
	server := web.New(web.Options{
		Accepter: in, Canceller: in, Redriver: redrive.New(store, in), Reader: store, Waiter: waits, Pictures: objectstore.New(js, stream.Pictures),
		Services: staff,
		Health:   report.Report, Ready: ready, Metrics: p.Gather, Samples: cfg.samples(), SampleURL: cfg.sampleURL(),
		Log: p.Log, Grace: p.Grace,
	})
	p.ReadyWhen(ready)
	p.Log.Info("Serving HTTP", "url", "http://"+ln.Addr().String())

	ctx, over := context.WithCancel(ctx)
	defer over()
	writing := begin(ctx, over, writer.Run)
	holding := begin(ctx, over, endless(holder.Run))
	working := begin(ctx, over, endless(keeper.Run), endless(facts.Run), endless(roster.Run), endless(out.Run), endless(back.Run),
		endless(cancels.Run), endless(func(ctx context.Context) { known.schedule.Run(ctx, due) }),
		endless(sweeper.Run), endless(trimmer.Run), meeting.Run)
	err = server.Serve(ctx, ln)
	return errors.Join(err, working.stop(), holding.stop(), writing.stop())
}

// known is what is kept of the store in memory.
type known struct {
	emails   *accept.Emails // taken addresses
	keys     *accept.Keys   // requests that may come again
	backlog  *backlog.Backlog
	schedule *schedule.Schedule // what waits until it is due
	lastKey  uint64             // highest log key given out
	met      bool               // store and NATS have met
}

// load reads all at once: the file is one, the processors are not.
func load(store *bolt.Store, streams stream.Config) (k known, err error) {
	size, err := store.Size()
	if err != nil {
		return k, err
	}
	k.emails, k.keys, k.schedule = accept.NewEmails(), accept.NewKeys(), schedule.New(streams.Limit, time.Now)
	k.emails.Expect(size.Users)
	if k.lastKey, err = store.LastKey(); err != nil {
		return k, err
	}
	if k.met, err = store.Met(); err != nil {
		return k, err
	}
	var all errgroup.Group
	all.Go(func() error { return store.EachEmail(k.emails.Load) })
	all.Go(func() error { return store.EachKeyed(k.keys.Load) })
	all.Go(func() (err error) {
		k.backlog, err = backlog.Load(k.schedule.Watch(store), time.Now)
		return err
	})
	err = all.Wait()
	return k, err
}
