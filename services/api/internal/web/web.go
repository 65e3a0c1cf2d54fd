package web

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/helmet"
	fiberrecover "github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/prometheus/client_golang/prometheus"

	"handoff/services/api/internal/sample"
)

// Options are what a [Server] is made of. The first six are required.
type Options struct {
	Accepter  Accepter
	Canceller Canceller
	Redriver  Redriver
	Reader    Reader
	Waiter    Waiter
	Pictures  Pictures
	Services  Services

	Health  func(ctx context.Context) Health // for /health; nil: always ok
	Ready   func() error                     // for /readyz: why no requests should be sent here, or nil; nil: always ready
	Metrics prometheus.Gatherer              // for /metrics; nil: there is none
	Samples *sample.Set                      // for /samples/; nil: there are none
	Log     *slog.Logger                     // nil: slog.Default()
	Version string                           // shown in the OpenAPI document; empty: "dev"

	// SampleURL is the image_url that the document proposes, best one that the imager may fetch; empty: one at example.org.
	SampleURL string

	// Grace is how long requests under way may take once [Server.Serve] has been told to end; 0: 10 s.
	Grace time.Duration
}

// bodyLimit is the largest request body, in bytes.
const bodyLimit = 1 << 20

// readBuffer bounds a request's line and header fields together, in bytes.
const readBuffer = 8 << 10

// limits are the times that tests shorten.
type limits struct {
	// read and idle must be set: huma leaves a deadline for reading on every connection that has sent a body, and fasthttp
	// takes it off only when it sets its own.
	read, idle time.Duration
	// write is how long one answer may take to be written. A stream that lasts longer sets the connection's deadline anew
	// before each write.
	write time.Duration
	demo  time.Duration // how long POST /sync-task/ takes
}

func defaults() limits {
	return limits{read: 30 * time.Second, idle: 75 * time.Second, write: time.Minute, demo: 3 * time.Second}
}

// Server answers the api's HTTP requests.
type Server struct {
	opts   Options
	limits limits
	log    *slog.Logger
	app    *fiber.App

	draining chan struct{} // closed when long answers are to end
	drain    func()        // closes it, once
}

// New makes a server; [Server.Serve] runs it.
func New(o Options) *Server { return newServer(o, defaults()) }

func newServer(o Options, l limits) *Server {
	s := &Server{opts: withDefaults(o), limits: l, draining: make(chan struct{})}
	s.log = s.opts.Log
	s.drain = sync.OnceFunc(func() { close(s.draining) })
	s.app = fiber.New(fiber.Config{
		AppName:               "handoff",
		DisableStartupMessage: true,
		BodyLimit:             bodyLimit,
		ReadBufferSize:        readBuffer,
		ReadTimeout:           l.read,
		IdleTimeout:           l.idle,
		WriteTimeout:          l.write,
		Immutable:             true, // else strings of a request are overwritten by the next one on its connection
		ErrorHandler:          s.fail,
	})
	s.app.Server().CloseOnShutdown = true
	s.app.Server().Handler = refuseUnknownMethods(s.app.Server().Handler)

	s.app.Use(s.observe)
	s.app.Use(fiberrecover.New(fiberrecover.Config{EnableStackTrace: true, StackTraceHandler: keepPanic}))
	s.app.Use(helmet.New(helmet.Config{ContentSecurityPolicy: "default-src 'none'; frame-ancestors 'none'"}))
	s.app.Use(guardBody)

	api := s.newAPI()
	s.registerUsers(api)
	s.registerImages(api)
	s.registerTasks(api)
	s.registerJobs(api)
	s.registerCancel(api)
	s.registerDead(api)
	s.registerResult(api)
	s.registerServices(api)
	s.registerHealth(api)
	s.routeProbes()
	s.routeSamples()
	s.polish(api.OpenAPI())
	s.routeDocs(api.OpenAPI())
	return s
}

func withDefaults(o Options) Options {
	if o.Health == nil {
		o.Health = func(context.Context) Health { return Health{Status: Healthy} }
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Grace <= 0 {
		o.Grace = 10 * time.Second
	}
	return o
}
