package web

import (
	"net/http"

	"github.com/gofiber/fiber/v2"
)

// routeSamples adds the sample pictures, when there are any.
func (s *Server) routeSamples() {
	if s.opts.Samples == nil {
		return
	}
	s.app.Get("/samples/:name", func(c *fiber.Ctx) error {
		p, ok, err := s.opts.Samples.Picture(c.Params("name"))
		if err != nil {
			return err
		}
		if !ok {
			return fiber.ErrNotFound
		}
		etag := `"` + p.Digest + `"`
		c.Set(fiber.HeaderETag, etag)
		c.Set(fiber.HeaderCacheControl, "public, max-age=300")
		if noneMatch(c.Get(fiber.HeaderIfNoneMatch), etag) {
			c.Status(http.StatusNotModified)
			return nil
		}
		c.Set(fiber.HeaderContentType, p.ContentType)
		return c.Send(p.Data)
	})
}
