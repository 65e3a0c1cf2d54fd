package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Health is what a measurement needs of the report at /health.
type Health struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons"`
	Store   struct {
		Bytes     int64 `json:"bytes"`
		Users     int64 `json:"users"`
		Jobs      int64 `json:"jobs"`
		Unrelayed int64 `json:"unrelayed"`
	} `json:"store"`
	Streams []Stream `json:"streams"`
}

// A Stream is the fill of a stream, or of a bucket.
type Stream struct {
	Name     string `json:"name"`
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	MaxBytes int64  `json:"max_bytes"`
}

// Stream finds a stream; zero when there is none.
func (h *Health) Stream(name string) Stream {
	for _, s := range h.Streams {
		if s.Name == name {
			return s
		}
	}
	return Stream{}
}

// Health asks the child how it is.
func (c *Child) Health(ctx context.Context) (h Health, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*askPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/health", http.NoBody)
	if err != nil {
		return h, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return h, fmt.Errorf("ask how it is: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(&h); err != nil {
		return h, fmt.Errorf("read how it is: %w", err)
	}
	return h, nil
}
