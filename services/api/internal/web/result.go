package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"

	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

type resultInput struct {
	ID          string `path:"id" doc:"The job's id" example:"0199f3c1-6f0e-7c3a-9d55-1e3a7b3cad22"`
	IfNoneMatch string `header:"If-None-Match" doc:"ETags of copies at hand: 304 if one is up to date"`
}

func (s *Server) registerResult(api huma.API) {
	text := &huma.Schema{Type: huma.TypeString}
	headers := map[string]*huma.Param{"ETag": {Schema: text, Description: "Names these bytes"}}
	huma.Register(api, huma.Operation{
		OperationID: "get-result", Method: http.MethodGet, Path: "/jobs/{id}/result", Tags: []string{tagJobs},
		Summary:     "Get the picture that a job has made",
		Description: "409 while the job has not ended, or when it ended without a picture; 410 once the picture is not kept any more.",
		Responses: map[string]*huma.Response{
			"200": {
				Description: "The picture, with its own type", Headers: headers,
				Content: map[string]*huma.MediaType{"image/*": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
			},
			"304": {Description: "The copy at hand is up to date", Headers: headers},
		},
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusServiceUnavailable},
	}, s.getResult)
}

func (s *Server) getResult(ctx context.Context, in *resultInput) (*huma.StreamResponse, error) {
	j, err := s.findJob(in.ID)
	if err != nil {
		return nil, explain(err)
	}
	if err := checkResult(j); err != nil {
		return nil, err
	}
	p, err := s.opts.Pictures.Open(ctx, j.ID)
	if errors.Is(err, ErrNoPicture) {
		return nil, huma.Error410Gone("The picture is not kept any more. Ask for it again with a new request.")
	}
	if err != nil {
		return nil, explain(fmt.Errorf("open the picture of job %s: %w", j.ID, err))
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) { s.sendPicture(hc, j.ID, p, in.IfNoneMatch) }}, nil
}

// checkResult says why a job has no picture to give.
func checkResult(j *job.Job) error {
	t := j.Task(pictureService)
	switch {
	case t == nil:
		return huma.Error404NotFound("A job of this type makes no picture.")
	case t.State == event.Succeeded:
		return nil
	case !t.State.Ended():
		return huma.Error409Conflict(fmt.Sprintf("There is no picture yet: the task is %s. GET %s?wait=10s answers when the job has ended.",
			t.State, jobPath(j.ID)))
	case t.Error != "":
		return huma.Error409Conflict(fmt.Sprintf("There is no picture: the task is %s. Its last error: %s", t.State, t.Error))
	}
	return huma.Error409Conflict(fmt.Sprintf("There is no picture: the task is %s.", t.State))
}

// sendPicture hands the body to the server, which closes it when it has been sent.
func (s *Server) sendPicture(hc huma.Context, jobID string, p Picture, ifNoneMatch string) {
	c := humafiber.Unwrap(hc)
	etag := `"` + p.Digest + `"`
	c.Set(fiber.HeaderETag, etag)
	c.Set(fiber.HeaderCacheControl, "private, no-cache")
	if noneMatch(ifNoneMatch, etag) {
		hc.SetStatus(http.StatusNotModified)
		if err := p.Body.Close(); err != nil {
			s.log.Debug("close picture", "job", jobID, "err", err)
		}
		return
	}
	hc.SetStatus(http.StatusOK)
	c.Set(fiber.HeaderContentType, pictureType(p.ContentType))
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Context().SetBodyStream(&pictureBody{
		ReadCloser: p.Body, conn: c.Context().Conn(), patience: s.limits.write, log: s.log.With("job", jobID),
	}, int(p.Size))
}

// pictureType lets only pictures through as what they say they are: a service's result must not be a page of ours.
func pictureType(t string) string {
	if strings.HasPrefix(t, "image/") && !strings.HasPrefix(t, "image/svg") {
		return t
	}
	return fiber.MIMEOctetStream
}

// noneMatch reports whether the client has what the ETag names (RFC 9110, 13.1.2).
func noneMatch(header, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for have := range strings.SplitSeq(header, ",") {
		have = strings.TrimPrefix(strings.TrimSpace(have), "W/")
		if have == "*" || have == etag {
			return true
		}
	}
	return false
}

// A pictureBody lets a client take its time as long as it takes something: each piece has the patience anew.
type pictureBody struct {
	io.ReadCloser

	conn     net.Conn
	patience time.Duration
	log      *slog.Logger
}

func (b *pictureBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.log.Error("read picture", "err", err) // the client sees a short answer; there is no way left to tell it
	}
	if derr := b.conn.SetWriteDeadline(time.Now().Add(b.patience)); derr != nil && err == nil {
		err = derr
	}
	return n, err
}
