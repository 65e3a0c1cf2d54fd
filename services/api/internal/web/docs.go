package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
	redoc "github.com/mvrilo/go-redoc"
	swagger "github.com/swaggest/swgui/v5/static"
)

//go:embed static
var pages embed.FS

// Policies of the pages: everything from here, and no script within the page. ReDoc's search runs in a worker.
const (
	docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"connect-src 'self'; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	redocPolicy = docsPolicy + "; worker-src blob:; child-src blob:"
)

// routeDocs adds the pages for people, and the document that they show.
func (s *Server) routeDocs(doc *huma.OpenAPI) {
	const html, script, style = "text/html; charset=utf-8", "text/javascript; charset=utf-8", "text/css; charset=utf-8"
	s.app.Get("/", func(c *fiber.Ctx) error { return c.Redirect("/docs", http.StatusFound) })
	for path, a := range map[string]asset{
		"/openapi.json": {contentType: fiber.MIMEApplicationJSON, load: compressed(func() ([]byte, error) { return document(doc) })},

		"/docs":                      {contentType: html, policy: docsPolicy, load: ours("docs.html")},
		"/docs/init.js":              {contentType: script, load: ours("docs.js")},
		"/docs/icon.svg":             {contentType: "image/svg+xml", load: ours("icon.svg")},
		"/docs/swagger-ui.css":       {contentType: style, load: swaggerFile("swagger-ui.css.gz")},
		"/docs/swagger-ui-bundle.js": {contentType: script, load: swaggerFile("swagger-ui-bundle.js.gz")},

		"/redoc":                     {contentType: html, policy: redocPolicy, load: ours("redoc.html")},
		"/redoc/init.js":             {contentType: script, load: ours("redoc.js")},
		"/redoc/redoc.standalone.js": {contentType: script, load: compressed(func() ([]byte, error) { return []byte(redoc.JavaScript), nil })},
	} {
		s.app.Get(path, a.handler())
	}
}

// document is the OpenAPI document as it is served: indented, for people fetch it too.
func document(doc *huma.OpenAPI) ([]byte, error) {
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	return append(b, '\n'), nil
}

func ours(name string) func() ([]byte, error) {
	return compressed(func() ([]byte, error) {
		b, err := pages.ReadFile("static/" + name)
		if err != nil {
			return nil, fmt.Errorf("read page: %w", err)
		}
		return b, nil
	})
}

// swaggerFile is a file of Swagger UI, which comes compressed.
func swaggerFile(name string) func() ([]byte, error) {
	return func() ([]byte, error) {
		b, err := swagger.FS.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read Swagger UI: %w", err)
		}
		return b, nil
	}
}
