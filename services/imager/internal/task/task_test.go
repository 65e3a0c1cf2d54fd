package task

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"handoff/services/imager/internal/picture"
	"handoff/shared/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A desk is the outside of a task: it gives one picture and keeps what it is given.
type desk struct {
	picture  []byte
	fetchErr error
	storeErr error
	block    chan struct{} // Put waits until it is closed

	name, contentType string
	kept              []byte
	fetched, progress int
}

func (d *desk) Fetch(context.Context, string) ([]byte, error) {
	d.fetched++
	return d.picture, d.fetchErr
}

func (d *desk) Put(_ context.Context, name, contentType string, data []byte) error {
	if d.block != nil {
		<-d.block
	}
	d.name, d.contentType, d.kept = name, contentType, data
	return d.storeErr
}

func (d *desk) config(log *slog.Logger) Config {
	return Config{
		Fetcher: d, Store: d, Memory: 1 << 30, Log: log,
		Redact:   func(rawURL string) string { before, _, _ := strings.Cut(rawURL, "?"); return before },
		Progress: func(context.Context, float64, string) { d.progress++ },
	}
}

func picturePNG(t *testing.T, w, h int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = 200
	}
	m.Set(0, 0, color.Black)
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asked(t *testing.T, operations string) event.Event[event.ImageRequestedData] {
	t.Helper()
	data := event.ImageRequestedData{ImageURL: "https://example.org/landscape.jpg?key=secret"}
	if err := json.Unmarshal([]byte(operations), &data.Operations); err != nil {
		t.Fatal(err)
	}
	return event.Event[event.ImageRequestedData]{Envelope: event.Envelope{ID: "job-1"}, Service: "imager", Attempt: 1, Data: data}
}

// logTo writes a log without times.
func logTo(w *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant (%s)\n%s", got, path, want)
	}
}

func TestTheLogTellsTheDemosStory(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	d := &desk{picture: picturePNG(t, 1600, 1000)}
	if _, err := New(d.config(logTo(&log))).Handle(t.Context(), asked(t, `["resize","compress","watermark"]`)); err != nil {
		t.Fatal(err)
	}
	golden(t, "log.golden", log.Bytes())
}

func TestTheResultSaysWhatIsKept(t *testing.T) {
	t.Parallel()
	d := &desk{picture: picturePNG(t, 1600, 1000)}
	got, err := New(d.config(slog.New(slog.DiscardHandler))).Handle(t.Context(), asked(t, `["resize",{"name":"compress","quality":50}]`))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(d.kept)
	want := Result{
		Object: "job-1", ContentType: "image/jpeg", Bytes: len(d.kept), Width: 1280, Height: 800,
		SourceWidth: 1600, SourceHeight: 1000, SourceFormat: "png", SHA256: hex.EncodeToString(sum[:]),
	}
	if got != want || d.name != want.Object || d.contentType != want.ContentType {
		t.Errorf("result is %+v, kept as %s of %s; want %+v", got, d.name, d.contentType, want)
	}
	if m, err := jpeg.Decode(bytes.NewReader(d.kept)); err != nil || m.Bounds().Size() != image.Pt(1280, 800) {
		t.Errorf("what is kept is no JPEG of 1280x800: %v", err)
	}
	if d.progress == 0 {
		t.Error("no progress was told")
	}
}

// The names of the result's fields are for clients.
func TestTheResultsFields(t *testing.T) {
	t.Parallel()
	b, err := json.MarshalIndent(Result{
		Object: "job-1", ContentType: "image/jpeg", Bytes: 1, Width: 2, Height: 3, SourceWidth: 4, SourceHeight: 5, SourceFormat: "png", SHA256: "6",
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "result.golden", append(b, '\n'))
}

func TestHandleFails(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	for name, tt := range map[string]struct {
		desk       desk
		operations string
		want       error
		says       string
		permanent  bool
		fetched    int
	}{
		"unknown operation":  {desk{}, `["rotate"]`, nil, `bad_operation: "rotate" is not an operation`, true, 0},
		"wrong option":       {desk{}, `[{"name":"compress","quality":101}]`, nil, "bad_operation: compress: quality is 101", true, 0},
		"unreadable picture": {desk{picture: []byte("<html>")}, `["resize"]`, nil, `unsupported_format: the file begins with "<html>"`, true, 1},
		"source away":        {desk{fetchErr: away}, `["resize"]`, away, "away", false, 1},
		"store away":         {desk{picture: picturePNG(t, 9, 9), storeErr: away}, `["resize"]`, away, "away", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			d := tt.desk
			_, err := New(d.config(logTo(&log))).Handle(t.Context(), asked(t, tt.operations))
			if err == nil || !strings.HasPrefix(err.Error(), tt.says) || (tt.want != nil && !errors.Is(err, tt.want)) {
				t.Errorf("error is %v, want %q", err, tt.says)
			}
			var final interface{ Permanent() bool }
			if got := errors.As(err, &final) && final.Permanent(); got != tt.permanent {
				t.Errorf("error is permanent: %v, want %v", got, tt.permanent)
			}
			if strings.Contains(log.String(), "completed") {
				t.Errorf("the log says\n%s", log.String())
			}
			if d.fetched != tt.fetched {
				t.Errorf("fetched %d times, want %d", d.fetched, tt.fetched)
			}
		})
	}
}

// What is admitted waits for the memory of what is in work, and a wait ends with the context.
func TestPicturesWaitForMemory(t *testing.T) {
	t.Parallel()
	d := &desk{picture: picturePNG(t, 64, 48)}
	p, err := picture.Open(d.picture, picture.Plan{}, picture.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := d.config(slog.New(slog.DiscardHandler))
		cfg.Memory = p.Memory() + 1<<20 // one fits and two do not
		task := New(cfg)
		if err := task.memory.Acquire(t.Context(), p.Memory()); err != nil { // another picture
			t.Fatal(err)
		}
		why := errors.New("job cancelled")
		ctx, cancel := context.WithCancelCause(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		e := asked(t, `["resize"]`)
		go func() { _, err := task.Handle(ctx, e); first <- err }()
		synctest.Wait()
		if len(first) != 0 || d.kept != nil {
			t.Error("a picture was processed without room for it")
		}
		cancel(why)
		if err := <-first; !errors.Is(err, why) {
			t.Errorf("error is %v, want the context's cause", err)
		}
		go func() { _, err := task.Handle(t.Context(), e); second <- err }()
		synctest.Wait()
		task.memory.Release(p.Memory())
		if err := <-second; err != nil || d.kept == nil {
			t.Errorf("after the other was done: %v", err)
		}
		if !task.memory.TryAcquire(cfg.Memory) {
			t.Error("memory was not given back")
		}
	})
}

// A picture that is estimated at more than all the memory goes alone.
func TestAPictureLargerThanTheMemory(t *testing.T) {
	t.Parallel()
	d := &desk{picture: picturePNG(t, 64, 48)}
	cfg := d.config(slog.New(slog.DiscardHandler))
	cfg.Memory = 1
	if _, err := New(cfg).Handle(t.Context(), asked(t, `["resize"]`)); err != nil {
		t.Error(err)
	}
}

// Memory is for processing: what waits to be stored holds none.
func TestStoringHoldsNoMemory(t *testing.T) {
	t.Parallel()
	d := &desk{picture: picturePNG(t, 64, 48)}
	synctest.Test(t, func(t *testing.T) {
		d.block = make(chan struct{})
		task := New(d.config(slog.New(slog.DiscardHandler)))
		ended := make(chan error, 1)
		e := asked(t, `["resize"]`)
		go func() { _, err := task.Handle(t.Context(), e); ended <- err }()
		synctest.Wait()
		if !task.memory.TryAcquire(1 << 30) {
			t.Error("memory is held while the picture is being stored")
		}
		close(d.block)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
