package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// alivePatience is how long whoever listens at the address may take to say that it lives.
	alivePatience = 5 * time.Second
	// requestPatience is how long an answer may take: more than a wait asked for with waitFor.
	requestPatience = time.Minute
	waitFor         = "30s"
	maxAnswer       = 1 << 20
)

// errNobody is that nothing listens at the address.
var errNobody = errors.New("nothing answers")

// client speaks to one Handoff.
type client struct {
	base string
	http *http.Client
}

func newClient(base string, parallel int) *client {
	return &client{base: base, http: &http.Client{
		Timeout: requestPatience, Transport: &http.Transport{MaxIdleConnsPerHost: parallel},
	}}
}

// alive finds out whether Handoff is at the address; [errNobody] when nobody is.
func (c *client) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, alivePatience)
	defer cancel()
	err := c.do(ctx, http.MethodGet, "/livez", http.StatusOK, nil)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("%w at %s: %w", errNobody, c.base, err)
	}
	if err != nil {
		return fmt.Errorf("what answers at %s is not Handoff, or is not well: %w", c.base, err)
	}
	return nil
}

func (c *client) syncTask(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/sync-task/", http.StatusOK, nil)
}

// asyncTask gives the id of the accepted job.
func (c *client) asyncTask(ctx context.Context) (string, error) {
	var accepted struct {
		JobID string `json:"job_id"`
	}
	if err := c.do(ctx, http.MethodPost, "/async-task/", http.StatusAccepted, &accepted); err != nil {
		return "", err
	}
	if accepted.JobID == "" {
		return "", errors.New("POST /async-task/: the answer names no job")
	}
	return accepted.JobID, nil
}

// succeeded waits until a job has ended. It is an error if the job ends otherwise, or not before patience is used up.
func (c *client) succeeded(ctx context.Context, id string, patience time.Duration) error {
	end := time.Now().Add(patience)
	for {
		var job struct {
			State string `json:"state"`
			Tasks []struct {
				Service string `json:"service"`
				Error   string `json:"error"`
			} `json:"tasks"`
		}
		if err := c.do(ctx, http.MethodGet, "/jobs/"+id+"?wait="+waitFor, http.StatusOK, &job); err != nil {
			return err
		}
		switch job.State {
		case "succeeded":
			return nil
		case "queued", "running":
			if time.Now().After(end) {
				return fmt.Errorf("job %s is still %s after %s: does the tasker run?", id, job.State, patience)
			}
		default:
			text := ""
			for _, t := range job.Tasks {
				if t.Error != "" {
					text += ": " + t.Service + ": " + t.Error
				}
			}
			return fmt.Errorf("job %s ended as %s%s", id, job.State, text)
		}
	}
}

// do sends a request without a body, and reads the answer into "into" if there is one.
func (c *client) do(ctx context.Context, method, path string, status int, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, http.NoBody)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	if res.StatusCode != status {
		return fmt.Errorf("%s %s: answered %s, want %d: %s", method, path, res.Status, status, reason(body))
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

// reason is what a refusal says of itself: the detail of a problem document, else its beginning.
func reason(body []byte) string {
	var problem struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}
	if json.Unmarshal(body, &problem) == nil && problem.Title+problem.Detail != "" {
		return problem.Title + ": " + problem.Detail
	}
	return fmt.Sprintf("%.200q", body)
}
