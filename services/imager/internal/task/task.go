package task

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"

	"golang.org/x/sync/semaphore"

	"handoff/services/imager/internal/picture"
	"handoff/shared/event"
)

// A Fetcher gets the bytes at an address.
type Fetcher interface {
	Fetch(ctx context.Context, rawURL string) ([]byte, error)
}

// A Store keeps a finished picture under a name; keeping the same again is not an error.
type Store interface {
	Put(ctx context.Context, name, contentType string, data []byte) error
}

// Config is what a [Task] is made of. All fields but Limits and Progress are required.
type Config struct {
	Fetcher Fetcher
	Store   Store
	Limits  picture.Limits
	// Memory bounds the pictures that are processed at the same time, by their estimates, in bytes.
	Memory int64
	// Redact gives an address as the log may show it.
	Redact func(rawURL string) string
	// Progress tells how far a task is.
	Progress func(ctx context.Context, percent float64, note string)
	Log      *slog.Logger
}

// A Task processes pictures. It is safe for use by many goroutines.
type Task struct {
	cfg    Config
	memory *semaphore.Weighted
}

// A Result is what a task leaves in its record: where the picture is, and what it is.
type Result struct {
	Object       string `json:"object"`
	ContentType  string `json:"content_type"`
	Bytes        int    `json:"bytes"`
	Width        int    `json:"width"`
	Height       int    `json:"height"`
	SourceWidth  int    `json:"source_width"`
	SourceHeight int    `json:"source_height"`
	SourceFormat string `json:"source_format"`
	SHA256       string `json:"sha256"`
}

const contentType = "image/jpeg"

// New makes a task.
func New(cfg Config) *Task {
	if cfg.Progress == nil {
		cfg.Progress = func(context.Context, float64, string) {}
	}
	return &Task{cfg: cfg, memory: semaphore.NewWeighted(cfg.Memory)}
}

// Handle does the task of one event. The picture is stored under the job's id, so that doing it again leaves one
// picture. An error that no retry will change says so by a method Permanent.
func (t *Task) Handle(ctx context.Context, e event.Event[event.ImageRequestedData]) (Result, error) {
	log := t.cfg.Log.With("job", e.ID)
	log.InfoContext(ctx, "Processing image from "+t.cfg.Redact(e.Data.ImageURL)) //nolint:sloglint // the demo's line

	plan, err := picture.Parse(e.Data.Operations)
	if err != nil {
		return Result{}, err
	}
	src, err := t.cfg.Fetcher.Fetch(ctx, e.Data.ImageURL)
	if err != nil {
		return Result{}, err
	}
	t.cfg.Progress(ctx, 30, "fetched")
	done, err := t.process(ctx, src, plan)
	if err != nil {
		return Result{}, err
	}
	t.cfg.Progress(ctx, 80, "processed")
	if err := t.cfg.Store.Put(ctx, e.ID, contentType, done.JPEG); err != nil {
		return Result{}, err
	}
	t.cfg.Progress(ctx, 100, "stored")

	log.InfoContext(ctx, fmt.Sprintf("Image processing completed. Operations: %v", plan.Names())) //nolint:sloglint // the demo's line
	sum := sha256.Sum256(done.JPEG)
	return Result{
		Object: e.ID, ContentType: contentType, Bytes: len(done.JPEG), SHA256: hex.EncodeToString(sum[:]),
		Width: done.Width, Height: done.Height,
		SourceWidth: done.Source.Width, SourceHeight: done.Source.Height, SourceFormat: string(done.Source.Format),
	}, nil
}

// process waits until there is memory for the picture, then does the work.
func (t *Task) process(ctx context.Context, src []byte, plan picture.Plan) (picture.Result, error) {
	p, err := picture.Open(src, plan, t.cfg.Limits)
	if err != nil {
		return picture.Result{}, err
	}
	// One that is larger than all there is would wait for ever: it goes when it is alone.
	weight := min(p.Memory(), t.cfg.Memory)
	if err := t.memory.Acquire(ctx, weight); err != nil {
		return picture.Result{}, fmt.Errorf("wait for memory to process the picture: %w", context.Cause(ctx))
	}
	defer t.memory.Release(weight)
	return p.Process(ctx)
}
