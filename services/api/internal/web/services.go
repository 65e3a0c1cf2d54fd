package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handoff/shared/event"
)

// Services are the workers, as NATS sees them.
//
// [ErrNoService] says that there is none of a name, *accept.UnavailableError that NATS can't be asked.
type Services interface {
	List(ctx context.Context) ([]Service, error)
	Show(ctx context.Context, name string) (Service, error)
	// Pause keeps new work from a service for a time, for good if it is 0. What it has begun goes on. A second pause replaces the first.
	Pause(ctx context.Context, name string, length time.Duration) error
	Resume(ctx context.Context, name string) error
}

// ErrNoService is returned by [Services] for a name that no service has.
var ErrNoService = errors.New("there is no such service")

// maxPause bounds a pause that has an end.
const maxPause = 30 * 24 * time.Hour

// A Service is how a service's consumers stand.
type Service struct {
	Name        string        `json:"name" example:"mailer"`
	Tasks       []ServiceTask `json:"tasks" nullable:"false" doc:"What it does"`
	Paused      bool          `json:"paused" doc:"Whether it is given no new work"`
	PausedUntil *time.Time    `json:"paused_until,omitempty" doc:"When the pause ends by itself; absent when it lasts until it is resumed"`
	Waiting     uint64        `json:"waiting" doc:"Events that it was not given yet"`
	InHand      int           `json:"in_hand" doc:"Events that it was given and that have not ended: running, or waiting for their next attempt"`
}

// A ServiceTask is what a service does for one type of event.
type ServiceTask struct {
	Name string     `json:"name" example:"welcome-email"`
	Type event.Type `json:"type" example:"user.created"`
}

type serviceInput struct {
	Name string `path:"name" maxLength:"64" doc:"The service's name" example:"mailer"`
}

type pauseInput struct {
	Name string `path:"name" maxLength:"64" doc:"The service's name" example:"mailer"`
	Body *struct {
		For string `json:"for,omitempty" maxLength:"20" doc:"How long, such as 90s or 12h, at most 720h; until it is resumed unless given" example:"1h"`
	}

	length time.Duration
}

// Resolve implements huma.Resolver.
func (in *pauseInput) Resolve(huma.Context) []error {
	if in.Body == nil || in.Body.For == "" {
		return nil
	}
	var err error
	if in.length, err = time.ParseDuration(in.Body.For); err != nil || in.length < time.Second || in.length > maxPause {
		return []error{&huma.ErrorDetail{Location: "body.for", Value: in.Body.For, Message: "a pause lasts from 1s to 720h, such as 90s or 12h"}}
	}
	return nil
}

type serviceOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         Service
}

type servicesOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         []Service
}

func (s *Server) registerServices(api huma.API) {
	away := []int{http.StatusServiceUnavailable}
	known := []int{http.StatusNotFound, http.StatusServiceUnavailable}
	huma.Register(api, huma.Operation{
		OperationID: "list-services", Method: http.MethodGet, Path: "/services/", Tags: []string{tagServices},
		Summary: "List the services", Description: "With what waits for each, as NATS counts it.", Errors: away,
	}, func(ctx context.Context, _ *struct{}) (*servicesOutput, error) {
		all, err := s.opts.Services.List(ctx)
		return &servicesOutput{CacheControl: "no-store", Body: all}, explain(err)
	})
	huma.Register(api, huma.Operation{
		OperationID: "get-service", Method: http.MethodGet, Path: "/services/{name}", Tags: []string{tagServices},
		Summary: "Show a service", Errors: known,
	}, func(ctx context.Context, in *serviceInput) (*serviceOutput, error) {
		return s.showService(ctx, in.Name, nil)
	})
	huma.Register(api, huma.Operation{
		OperationID: "pause-service", Method: http.MethodPost, Path: "/services/{name}/pause", Tags: []string{tagServices},
		Summary:     "Give a service no new work",
		Description: "What it has begun goes on, what is accepted waits, and no other service notices. A second pause replaces the first.",
		Errors:      append(known, http.StatusUnprocessableEntity), MaxBodyBytes: bodyLimit,
	}, func(ctx context.Context, in *pauseInput) (*serviceOutput, error) {
		return s.showService(ctx, in.Name, s.opts.Services.Pause(ctx, in.Name, in.length))
	})
	huma.Register(api, huma.Operation{
		OperationID: "resume-service", Method: http.MethodPost, Path: "/services/{name}/resume", Tags: []string{tagServices},
		Summary: "Give a service work again", Description: "It goes on from where it was. One that is not paused stays as it is.", Errors: known,
	}, func(ctx context.Context, in *serviceInput) (*serviceOutput, error) {
		return s.showService(ctx, in.Name, s.opts.Services.Resume(ctx, in.Name))
	})
}

func (s *Server) showService(ctx context.Context, name string, err error) (*serviceOutput, error) {
	if err != nil {
		return nil, explain(err)
	}
	one, err := s.opts.Services.Show(ctx, name)
	if err != nil {
		return nil, explain(err)
	}
	return &serviceOutput{CacheControl: "no-store", Body: one}, nil
}
