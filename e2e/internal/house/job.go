package house

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// A Job is what GET /jobs/{id} shows.
type Job struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	EndedAt   time.Time `json:"ended_at"`
	ResultURL string    `json:"result_url"`
	Tasks     []Task    `json:"tasks"`
}

// A Task is what one service does for a job.
type Task struct {
	Service    string          `json:"service"`
	Task       string          `json:"task"`
	State      string          `json:"state"`
	Generation int             `json:"generation"`
	Attempt    int             `json:"attempt"`
	Error      string          `json:"error"`
	Result     json.RawMessage `json:"result"`
	StartedAt  time.Time       `json:"started_at"`
	EndedAt    time.Time       `json:"ended_at"`
}

// Task finds the task of a service; a zero one when there is none.
func (j *Job) Task(service string) Task {
	for _, t := range j.Tasks {
		if t.Service == service {
			return t
		}
	}
	return Task{}
}

// Ended reports whether nothing more will happen.
func (j *Job) Ended() bool {
	return slices.Contains([]string{"succeeded", "dead", "cancelled"}, j.State)
}

// Accepted is the answer to a request that makes a job; a registration names it too.
type Accepted struct {
	ID        string    `json:"id"` // of the user
	Email     string    `json:"email"`
	Username  string    `json:"username"`
	CreatedAt time.Time `json:"created_at"`
	JobID     string    `json:"job_id"`
	Status    string    `json:"status"`
	StatusURL string    `json:"status_url"`
}

// Register registers a new user and gives what was answered.
func (c *Client) Register(path string) Accepted {
	c.t.Helper()
	body, _ := c.Registration()
	var a Accepted
	c.Post(path, body).Is(http.StatusCreated).JSON(&a)
	return a
}

// Request asks for a job and gives what was answered.
func (c *Client) Request(path, body string) Accepted {
	c.t.Helper()
	var a Accepted
	c.Post(path, body).Is(http.StatusAccepted).JSON(&a)
	return a
}

// Picture asks for a picture to be processed and gives the job's id.
func (c *Client) Picture(url, operations string) string {
	c.t.Helper()
	return c.Request("/process-image/", fmt.Sprintf(`{"image_url":%q,"operations":%s}`, url, operations)).JobID
}

// Job shows a job as it is now.
func (c *Client) Job(id string) *Job {
	c.t.Helper()
	var j Job
	c.Get("/jobs/" + id).Is(http.StatusOK).JSON(&j)
	return &j
}

// Await waits until a job has ended.
func (c *Client) Await(id string) *Job {
	c.t.Helper()
	var j Job
	Eventually(c.t, "the end of job "+id, func() error {
		if c.Get("/jobs/" + id + "?wait=10s").Is(http.StatusOK).JSON(&j); !j.Ended() {
			return fmt.Errorf("it is %+v", j)
		}
		return nil
	})
	return &j
}

// AwaitState waits until a job has ended, and fails the test unless it has ended so.
func (c *Client) AwaitState(id, state string) *Job {
	c.t.Helper()
	j := c.Await(id)
	if j.State != state {
		c.t.Fatalf("job %s is %s, want %s: %+v", id, j.State, state, j)
	}
	return j
}

// AwaitRunning waits until a job is being done.
func (c *Client) AwaitRunning(id string) {
	c.t.Helper()
	Eventually(c.t, "the start of job "+id, func() error {
		if j := c.Job(id); j.State != "running" {
			return fmt.Errorf("it is %+v", j)
		}
		return nil
	})
}
