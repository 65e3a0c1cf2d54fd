package web

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type healthOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         Health
}

func (s *Server) registerHealth(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "health", Method: http.MethodGet, Path: "/health", Tags: []string{tagServer},
		Summary:     "Show how the server is",
		Description: "200 whatever the status is: the report is for people. Orchestrators ask `/livez` and `/readyz`, which answer 503.",
	}, func(ctx context.Context, _ *struct{}) (*healthOutput, error) {
		h := s.opts.Health(ctx)
		if h.Reasons == nil {
			h.Reasons = []string{}
		}
		if h.Streams == nil {
			h.Streams = []StreamHealth{}
		}
		return &healthOutput{CacheControl: "no-store", Body: h}, nil
	})
}

// routeProbes adds what machines ask. It is not part of the document.
func (s *Server) routeProbes() {
	s.app.Get("/livez", func(c *fiber.Ctx) error { return probe(c, nil) })
	s.app.Get("/readyz", func(c *fiber.Ctx) error { return probe(c, s.ready()) })
	if s.opts.Metrics != nil {
		s.app.Get("/metrics", adaptor.HTTPHandler(promhttp.HandlerFor(s.opts.Metrics, promhttp.HandlerOpts{})))
	}
}

func probe(c *fiber.Ctx, err error) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	if err != nil {
		return c.Status(http.StatusServiceUnavailable).SendString("not ready: " + err.Error() + "\n")
	}
	return c.SendString("ok\n")
}
