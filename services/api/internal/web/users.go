package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"handoff/services/api/internal/user"
	"handoff/shared/event"
)

// A newUser is the body of a registration.
type newUser struct {
	Email    emailField `json:"email" doc:"Where the welcome e-mail goes; one user for each address, whatever its case" example:"ada@example.org"`
	Username string     `json:"username" minLength:"1" maxLength:"100" doc:"How to address the user: not blank, no control characters" example:"Ada"`
	Timing
}

// Resolve checks what a schema cannot say; what the schema already refuses is left out.
func (u *newUser) Resolve(_ huma.Context, at *huma.PathBuffer) []error {
	errs := u.check(at, time.Now())
	if runes := utf8.RuneCountInString(string(u.Email)); runes > 0 && runes <= maxEmail {
		if err := checkEmail(string(u.Email)); err != nil {
			errs = append(errs, &huma.ErrorDetail{Message: err.Error(), Location: at.With("email"), Value: string(u.Email)})
		}
	}
	if u.Username != "" {
		if err := checkUsername(u.Username); err != nil {
			errs = append(errs, &huma.ErrorDetail{Message: err.Error(), Location: at.With("username"), Value: u.Username})
		}
	}
	return errs
}

const maxEmail = 254 // bytes: what fits into an SMTP path; a schema can only count characters

type emailField string

// Schema implements huma.SchemaProvider. The format is only written into the document: huma would check it by its own,
// looser rule, and again for every request.
func (emailField) Schema(huma.Registry) *huma.Schema {
	low, high := 1, maxEmail
	return &huma.Schema{Type: huma.TypeString, MinLength: &low, MaxLength: &high, Extensions: map[string]any{"format": "email"}}
}

func checkUsername(s string) error {
	if strings.TrimSpace(s) == "" {
		return errors.New("a username must not be blank")
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) {
			return errors.New("a username must not have control characters or line breaks")
		}
	}
	return nil
}

type userView struct {
	ID        string    `json:"id" example:"0199f3c1-6f0e-7c3a-9d55-0d2f6a2b9c11"`
	Email     string    `json:"email" example:"ada@example.org"`
	Username  string    `json:"username" example:"Ada"`
	CreatedAt time.Time `json:"created_at" example:"2026-03-01T12:00:00.123456Z"`
	JobID     string    `json:"job_id" doc:"The job that welcomes the user" example:"0199f3c1-6f0e-7c3a-9d55-1e3a7b3cad22"`
}

func viewUser(u user.User) userView {
	return userView{ID: u.ID, Email: u.Email, Username: u.Username, CreatedAt: u.Created.UTC(), JobID: u.JobID}
}

type registerInput struct {
	Keyed
	Body newUser
}

type userCreated struct {
	Location string `header:"Location" doc:"Where the user is" example:"/users/0199f3c1-6f0e-7c3a-9d55-0d2f6a2b9c11"`
	Body     userView
}

type userInput struct {
	ID string `path:"id" doc:"The user's id" example:"0199f3c1-6f0e-7c3a-9d55-0d2f6a2b9c11"`
}

type userOutput struct{ Body userView }

type usersInput struct {
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most"`
	After string `query:"after" doc:"A user's id: only those who came later. The Link header of a page has the next one's."`
}

type usersOutput struct {
	Link string     `header:"Link" doc:"The next page, as rel=next; absent on the last one"`
	Body []userView `nullable:"false"`
}

func (s *Server) registerUsers(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "create-user", Method: http.MethodPost, Path: "/users/", Tags: []string{tagUsers},
		Summary:       "Register a user",
		Description:   "Keeps the user and answers. The welcome e-mail follows; `GET /jobs/{job_id}` shows how it goes.",
		DefaultStatus: http.StatusCreated, Errors: refused(http.StatusConflict), MaxBodyBytes: bodyLimit,
	}, s.register(false))
	huma.Register(api, huma.Operation{
		OperationID: "create-user-with-notifications", Method: http.MethodPost, Path: "/users/with-notifications/", Tags: []string{tagUsers},
		Summary:       "Register a user and tell the team",
		Description:   "As `POST /users/`; the notifier sends a notice too.",
		DefaultStatus: http.StatusCreated, Errors: refused(http.StatusConflict), MaxBodyBytes: bodyLimit,
	}, s.register(true))
	huma.Register(api, huma.Operation{
		OperationID: "list-users", Method: http.MethodGet, Path: "/users/", Tags: []string{tagUsers},
		Summary:                      "List users",
		Description:                  "Oldest first.",
		RejectUnknownQueryParameters: true,
		Errors:                       []int{http.StatusUnprocessableEntity},
	}, s.listUsers)
	huma.Register(api, huma.Operation{
		OperationID: "get-user", Method: http.MethodGet, Path: "/users/{id}", Tags: []string{tagUsers},
		Summary: "Show a user",
		Errors:  []int{http.StatusNotFound},
	}, s.getUser)
}

func (s *Server) register(notify bool) func(context.Context, *registerInput) (*userCreated, error) {
	return func(ctx context.Context, in *registerInput) (*userCreated, error) {
		u, err := s.opts.Accepter.Register(ctx, in.key, string(in.Body.Email), in.Body.Username, notify, in.Body.options...)
		if err != nil {
			return nil, explain(err)
		}
		return &userCreated{Location: "/users/" + u.ID, Body: viewUser(u)}, nil
	}
}

func (s *Server) getUser(_ context.Context, in *userInput) (*userOutput, error) {
	if !event.ValidID(in.ID) {
		return nil, explain(user.ErrNotFound)
	}
	u, err := s.opts.Reader.User(in.ID)
	if err != nil {
		return nil, explain(err)
	}
	return &userOutput{Body: viewUser(u)}, nil
}

func (s *Server) listUsers(_ context.Context, in *usersInput) (*usersOutput, error) {
	users, err := s.opts.Reader.Users(in.After, in.Limit+1)
	if errors.Is(err, user.ErrNotFound) {
		return nil, unknownAfter("user", in.After)
	}
	if err != nil {
		return nil, explain(err)
	}
	users, more := page(users, in.Limit)
	out := &usersOutput{Body: make([]userView, 0, len(users))}
	for _, u := range users {
		out.Body = append(out.Body, viewUser(u))
	}
	if more {
		out.Link = nextLink("/users/", in.Limit, users[len(users)-1].ID, nil)
	}
	return out, nil
}
