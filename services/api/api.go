package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/health"
	"handoff/services/api/internal/objectstore"
	"handoff/services/api/internal/projection"
	"handoff/services/api/internal/reconcile"
	"handoff/services/api/internal/relay"
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
	emails, keys, lastKey, met, err := load(store)
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
	waits := watch.New(store)
	writer := commit.New(store, lastKey, func(c *commit.Changes) { out.Committed(c) }, keys.Committed, waits.Committed)
	keeper := reconcile.New(p.NATS, js, streams, p.Log)
	if out, err = relay.New(store, writer, keeper, js, p.Log); err != nil {
		return errors.Join(err, ln.Close())
	}
	in := accept.New(writer, out, emails, keys, time.Now)
	back := projection.New(store, writer, keeper, emails, js, p.Log)
	meeting := reconcile.NewMeeting(met, back.CaughtUp(), writer, in, keeper)
	report := health.Sources{
		NATS: p.NATS, JetStream: js, Store: store, Relay: out, Projection: back, Streams: keeper, Ready: meeting.Ready,
	}
	server := web.New(web.Options{
		Accepter: in, Reader: store, Waiter: waits, Pictures: objectstore.New(js, stream.Pictures),
		Health: report.Report, Ready: meeting.Ready, Metrics: p.Gather, Samples: cfg.samples(), SampleURL: cfg.sampleURL(),
		Log: p.Log, Grace: p.Grace,
	})
	p.ReadyWhen(meeting.Ready)
	p.Log.Info("Serving HTTP", "url", "http://"+ln.Addr().String())

	ctx, over := context.WithCancel(ctx)
	defer over()
	writing := begin(ctx, over, writer.Run)
	working := begin(ctx, over, endless(keeper.Run), endless(out.Run), endless(back.Run), meeting.Run)
	err = server.Serve(ctx, ln)
	return errors.Join(err, working.stop(), writing.stop())
}

// load reads what is kept in memory: which addresses are taken, which requests may come again, the highest log key, and whether
// store and NATS have met.
func load(store *bolt.Store) (emails *accept.Emails, keys *accept.Keys, lastKey uint64, met bool, err error) {
	emails, keys = accept.NewEmails(), accept.NewKeys()
	if err = errors.Join(store.EachUser(emails.Load), store.EachKeyed(keys.Load)); err != nil {
		return nil, nil, 0, false, err
	}
	if lastKey, err = store.LastKey(); err != nil {
		return nil, nil, 0, false, err
	}
	met, err = store.Met()
	return emails, keys, lastKey, met, err
}
