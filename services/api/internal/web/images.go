package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// A newImage is the body of a request to process a picture.
type newImage struct {
	ImageURL   urlField         `json:"image_url" doc:"Where the picture is: http or https, without credentials" example:"https://example.org/landscape.jpg"`
	Operations []operationField `json:"operations" minItems:"1" maxItems:"16" nullable:"false" doc:"What to do with it, in this order; each name once" example:"[\"resize\", {\"name\": \"compress\", \"quality\": 80}, \"watermark\"]"`
	Timing

	parsed []event.Operation
}

// Resolve checks what a schema cannot say; what the schema already refuses is left out.
func (n *newImage) Resolve(_ huma.Context, at *huma.PathBuffer) []error {
	errs := n.check(at, time.Now())
	if runes := utf8.RuneCountInString(string(n.ImageURL)); runes > 0 && runes <= maxURL {
		if err := checkImageURL(string(n.ImageURL)); err != nil {
			errs = append(errs, &huma.ErrorDetail{Message: err.Error(), Location: at.With("image_url"), Value: string(n.ImageURL)})
		}
	}
	if len(n.Operations) > maxOperations {
		return errs
	}
	at.Push("operations")
	defer at.Pop()
	ops, opErrs := parseOperations(n.Operations, at)
	n.parsed = ops
	return append(errs, opErrs...)
}

const maxURL = 2048 // bytes; a schema can only count characters

type urlField string

// Schema implements huma.SchemaProvider; see [emailField.Schema] for the format.
func (urlField) Schema(huma.Registry) *huma.Schema {
	low, high := 1, maxURL
	return &huma.Schema{Type: huma.TypeString, MinLength: &low, MaxLength: &high, Extensions: map[string]any{"format": "uri"}}
}

// checkImageURL refuses what is no address of a picture on the web. Whether it may be fetched, the imager decides: only
// whoever dials sees the address that a name stands for.
func checkImageURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case len(s) > maxURL:
		return fmt.Errorf("the URL must have at most %d bytes", maxURL)
	case err != nil:
		return errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the URL must begin with http:// or https://")
	case u.Hostname() == "":
		return errors.New("the URL has no host")
	case u.User != nil:
		return errors.New("the URL must not have credentials")
	}
	return nil
}

type imageInput struct {
	Keyed
	Body newImage
}

type acceptedView struct {
	JobID     string     `json:"job_id" example:"0199f3c1-6f0e-7c3a-9d55-1e3a7b3cad22"`
	Status    job.State  `json:"status" enum:"scheduled,queued,running,succeeded,dead,cancelled" example:"queued"`
	RunAt     *time.Time `json:"run_at,omitempty" doc:"When it is due, if it was to wait"`
	StatusURL string     `json:"status_url" doc:"Where to look how far it has come" example:"/jobs/0199f3c1-6f0e-7c3a-9d55-1e3a7b3cad22"`
	Message   string     `json:"message" doc:"For people" example:"Accepted."`
}

type acceptedOutput struct {
	Location string `header:"Location" doc:"Where the job is" example:"/jobs/0199f3c1-6f0e-7c3a-9d55-1e3a7b3cad22"`
	Body     acceptedView
}

func (s *Server) registerImages(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "process-image", Method: http.MethodPost, Path: "/process-image/", Tags: []string{tagImages},
		Summary: "Process a picture",
		Description: "Keeps the request and answers. The picture is fetched and processed afterwards; once the job has " +
			"succeeded, it is at `/jobs/{job_id}/result`.",
		DefaultStatus: http.StatusAccepted, Errors: refused(http.StatusConflict), MaxBodyBytes: bodyLimit,
	}, s.processImage)
}

func (s *Server) processImage(ctx context.Context, in *imageInput) (*acceptedOutput, error) {
	return s.request(ctx, in.key, event.ImageRequestedData{ImageURL: string(in.Body.ImageURL), Operations: in.Body.parsed}, in.Body.options,
		"The picture will be processed in the background.")
}

// request keeps a job and says where it can be watched. The answer says how the job stood when it was accepted, so that it is the same
// for a request that comes again.
func (s *Server) request(ctx context.Context, key accept.Key, p event.Payload, options []accept.Option, message string) (*acceptedOutput, error) {
	j, err := s.opts.Accepter.Request(ctx, key, p, options...)
	if err != nil {
		return nil, explain(err)
	}
	at, status := jobPath(j.ID), event.Queued
	if j.Due != nil {
		status = job.Scheduled
	}
	return &acceptedOutput{
		Location: at,
		Body:     acceptedView{JobID: j.ID, Status: status, RunAt: utc(j.Due), StatusURL: at, Message: message},
	}, nil
}

func jobPath(id string) string { return "/jobs/" + id }
