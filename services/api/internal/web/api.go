package web

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"
)

const aboutAPI = `Answers at once and does the slow work afterwards, without losing any of it.

A **POST** is answered as soon as the work is safely kept: from then on it will be done, whatever fails in between. What it
answers names a **job**; ` + "`GET /jobs/{id}`" + ` shows how far each of the job's tasks has come, and with
` + "`?wait=10s`" + ` answers when it has ended.

A POST that is sent again, because its answer was lost, is accepted a second time, unless both come with the same **Idempotency-Key**: then the
first answer is given again.

Errors are problem documents (RFC 9457). Paths work with and without their trailing slash.`

// Tags of the operations, in the order in which the document shows them.
const (
	tagUsers    = "users"
	tagImages   = "images"
	tagTasks    = "tasks"
	tagJobs     = "jobs"
	tagDead     = "dead"
	tagServices = "services"
	tagServer   = "server"
)

// newAPI makes the huma API on the app. huma's own pages are off: they load their code from a CDN, and its document is
// built without a lock when it is first asked for.
func (s *Server) newAPI() huma.API {
	format := huma.Format{Marshal: marshal, Unmarshal: json.Unmarshal}
	return humafiber.NewWithGroup(s.app, headToo{s.app}, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "Handoff", Version: s.opts.Version, Description: aboutAPI},
			Tags: []*huma.Tag{
				{Name: tagUsers, Description: "Register people; a welcome e-mail, and a notice if asked for, follow."},
				{Name: tagImages, Description: "Have pictures processed."},
				{Name: tagTasks, Description: "The same pretended work, in the background and in the request."},
				{Name: tagJobs, Description: "What was accepted and how far it has come."},
				{Name: tagDead, Description: "What failed for good, and doing it again."},
				{Name: tagServices, Description: "The workers: what waits for each, and whether it is given work."},
				{Name: tagServer, Description: "How the server is."},
			},
			Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName)},
		},
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{finish},
	})
}

func marshal(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// schemaName names a type in the document: fooView is Foo there.
func schemaName(t reflect.Type, hint string) string {
	name := strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "View")
	if name == "ErrorModel" {
		return "Problem"
	}
	return name
}

// headToo answers HEAD wherever it is asked to answer GET.
type headToo struct{ fiber.Router }

func (r headToo) Add(method, path string, handlers ...fiber.Handler) fiber.Router {
	if method == http.MethodGet {
		r.Router.Add(http.MethodHead, path, handlers...)
	}
	return r.Router.Add(method, path, handlers...)
}

// polish makes the generated document kinder: an answer may grow fields, and the examples are ones that work here.
func (s *Server) polish(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas.Map()
	for name, schema := range schemas {
		if !strings.HasPrefix(name, "New") { // what is sent to us stays closed: a misspelt field is a mistake
			schema.AdditionalProperties = nil
		}
	}
	problem := schemas["Problem"].Properties
	problem["type"].Examples = []any{"about:blank"}
	problem["title"].Examples = []any{"Conflict"}
	problem["status"].Examples = []any{http.StatusConflict}
	problem["detail"].Examples = []any{"This e-mail address is already registered."}
	problem["instance"].Examples = []any{"/users/"}
	problem["instance"].Description = "The path that was asked for."
	problem["errors"].Nullable = false
	problem["errors"].Description = "What is wrong with which value."
	for _, p := range []string{"type", "instance"} {
		problem[p].Format = "uri-reference" // RFC 9457, 3.1
	}
	sayWhen(doc)
	if s.opts.SampleURL != "" {
		schemas["NewImage"].Properties["image_url"].Examples = []any{s.opts.SampleURL}
	}
	propose(schemas, "NewUser", "email", "username")
	propose(schemas, "NewImage", "image_url", "operations")
	propose(schemas, "NewTask", "duration_seconds")
}

// propose has the pages propose a body with these fields: with all there are it would be refused, for some exclude each other.
func propose(schemas map[string]*huma.Schema, name string, fields ...string) {
	body := map[string]any{}
	for _, f := range fields {
		body[f] = schemas[name].Properties[f].Examples[0]
	}
	schemas[name].Examples = []any{body}
}

// sayWhen describes the Retry-After that every 503 has, and the 409 of a request that is under way.
func sayWhen(doc *huma.OpenAPI) {
	for _, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post} {
			if op == nil {
				continue
			}
			for status, what := range map[string]string{
				"503": "Seconds after which asking again makes sense",
				"409": "Seconds after which asking again makes sense, if a request with the same Idempotency-Key is under way",
			} {
				if r := op.Responses[status]; r != nil {
					r.Headers = map[string]*huma.Param{"Retry-After": {Schema: &huma.Schema{Type: huma.TypeInteger}, Description: what}}
				}
			}
		}
	}
}

// refused are the statuses with which an accept can be refused, beside those that huma adds.
func refused(more ...int) []int {
	return append(more, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusServiceUnavailable, http.StatusInsufficientStorage)
}
