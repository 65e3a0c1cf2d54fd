package imager_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"handoff/services/imager"
	"handoff/shared/daemon"
	"handoff/shared/event"
	"handoff/shared/stream"
	"handoff/shared/worker/workertest"
)

// config is the imager's own default, with addresses that may be fetched from.
func config(allow ...string) imager.Config {
	return imager.Config{Allow: allow, MaxPixels: 100_000_000, Memory: 1 << 30}
}

// start runs the imager on a NATS server of its own until the test ends.
func start(t *testing.T, cfg imager.Config) *workertest.Rig {
	t.Helper()
	return workertest.Start(t, "imager", run(cfg))
}

func run(cfg imager.Config) workertest.Run {
	return func(ctx context.Context, p *daemon.Process) error { return imager.Run(ctx, p, cfg) }
}

// ask asks for a picture and gives the job's record once it is as it is waited for.
func ask(r *workertest.Rig, job, address, operations string, reached func(*event.Record) bool) *event.Record {
	r.Helper()
	r.Ask(job, request(r, address, operations))
	return r.Await(job, reached)
}

func request(t testing.TB, address, operations string) event.ImageRequestedData {
	t.Helper()
	data := event.ImageRequestedData{ImageURL: address}
	if err := json.Unmarshal([]byte(operations), &data.Operations); err != nil {
		t.Fatal(err)
	}
	return data
}

func ended(r *event.Record) bool { return r.State.Ended() }

func TestImagerAsTheAuthorOfAHandlerMustThinkOfIt(t *testing.T) {
	t.Parallel()
	src := hills(t, 64, 48)
	addr := source(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hangs" {
			<-r.Context().Done()
			return
		}
		_, _ = w.Write(src)
	})
	workertest.Suite{
		Service: "imager", Run: run(config(addr)),
		Payload: func(int) event.Payload { return request(t, "http://"+addr+"/picture", `["resize"]`) },
		Hangs:   request(t, "http://"+addr+"/hangs", `["resize"]`),
		Effects: func(r *workertest.Rig, key string) int {
			job, _, _ := strings.Cut(key, ".")
			bucket, err := r.JetStream().ObjectStore(context.Background(), stream.Pictures)
			if err != nil {
				r.Fatal(err)
			}
			all, err := bucket.List(context.Background())
			if err != nil {
				r.Fatal(err)
			}
			n := 0
			for _, o := range all {
				if strings.Contains(o.Name, job) {
					n++
				}
			}
			return n
		},
	}.Check(t)
}

// source serves pictures on the loopback and gives its host:port.
func source(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// hills is a picture of smooth colours.
func hills(t *testing.T, w, h int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetRGBA(x, y, color.RGBA{R: uint8(60 + 100*x/w), G: uint8(60 + 100*y/h), B: 90, A: 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// result is what a record says of a picture.
type result struct {
	Object      string `json:"object"`
	ContentType string `json:"content_type"`
	Bytes       uint64 `json:"bytes"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	SHA256      string `json:"sha256"`
}

// kept reads a job's picture and checks that record, store and picture agree.
func kept(t *workertest.Rig, job string, record *event.Record) image.Image {
	t.Helper()
	if record.State != event.Succeeded {
		t.Fatalf("%s is %s: %s", job, record.State, record.Error)
	}
	var says result
	if err := json.Unmarshal(record.Result, &says); err != nil {
		t.Fatal(err)
	}
	bucket, err := t.JetStream().ObjectStore(t.Context(), stream.Pictures)
	if err != nil {
		t.Fatal(err)
	}
	info, err := bucket.GetInfo(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	data, err := bucket.GetBytes(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	m, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("what is kept is no JPEG: %v", err)
	}
	sum := sha256.Sum256(data)
	want := result{
		Object: job, ContentType: info.Headers.Get("Content-Type"), Bytes: info.Size,
		Width: m.Bounds().Dx(), Height: m.Bounds().Dy(), SHA256: hex.EncodeToString(sum[:]),
	}
	if says != want || want.ContentType != "image/jpeg" {
		t.Errorf("the record says %+v, the store holds %+v", says, want)
	}
	if digest := "SHA-256=" + base64.URLEncoding.EncodeToString(sum[:]); info.Digest != digest {
		t.Errorf("the store's digest is %s, want %s", info.Digest, digest)
	}
	return m
}

func TestAPictureIsFetchedProcessedAndKept(t *testing.T) {
	t.Parallel()
	src := hills(t, 2000, 1500)
	addr := source(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(src) })
	r := start(t, config(addr))
	at := "http://" + addr + "/landscape.jpg"
	marked := kept(r, "job-1", ask(r, "job-1", at, `["resize","compress","watermark"]`, ended))
	bare := kept(r, "job-2", ask(r, "job-2", at, `["resize",{"name":"compress"}]`, ended))
	for _, m := range []image.Image{marked, bare} {
		if got := m.Bounds().Size(); got != image.Pt(1280, 960) {
			t.Fatalf("the picture is %v, want 1280x960", got)
		}
	}
	var inCorner, elsewhere int
	corner := image.Rect(640, 800, 1280, 960)
	for y := range 960 {
		for x := range 1280 {
			a, b := color.GrayModel.Convert(marked.At(x, y)).(color.Gray).Y, color.GrayModel.Convert(bare.At(x, y)).(color.Gray).Y
			if max(a, b)-min(a, b) < 32 {
				continue
			}
			if image.Pt(x, y).In(corner) {
				inCorner++
			} else {
				elsewhere++
			}
		}
	}
	if inCorner < 1000 || elsewhere > 0 {
		t.Errorf("the watermark shows at %d pixels of its corner and %d elsewhere", inCorner, elsewhere)
	}
}

func TestTheLoopbackIsRefusedUnlessListed(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	addr := source(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	r := start(t, config())
	for job, tt := range map[string]struct{ at, says string }{
		"job-1": {"http://" + addr + "/a.jpg?key=secret", addr + " in IMAGE_ALLOW"},
		"job-2": {"http://127.0.0.1/a.jpg?key=secret", "is not on the public internet"},
	} {
		record := ask(r, job, tt.at, `["resize"]`, ended)
		if record.State != event.Dead || record.Attempt != 1 {
			t.Errorf("%s is %s after attempt %d: %s", tt.at, record.State, record.Attempt, record.Error)
		}
		if !strings.HasPrefix(record.Error, "blocked_url: http://127.0.0.1") || !strings.Contains(record.Error, tt.says) ||
			strings.Contains(record.Error, "secret") {
			t.Errorf("%s: the error says %q, want it to say %q", tt.at, record.Error, tt.says)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the loopback was asked %d times", n)
	}
}

func TestWhatCantBeDoneIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	src := hills(t, 64, 48)
	addr := source(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/picture":
			_, _ = w.Write(src)
		case "/page":
			_, _ = w.Write([]byte("<!doctype html>"))
		case "/cut":
			_, _ = w.Write(src[:len(src)/2])
		case "/large":
			_, _ = w.Write([]byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"))
		default:
			http.NotFound(w, r)
		}
	})
	r := start(t, config(addr))
	for job, tt := range map[string]struct{ path, operations, says string }{
		"job-1": {"/picture", `["resize","rotate"]`, `bad_operation: "rotate" is not an operation; there are resize, compress and watermark`},
		"job-2": {"/picture", `[{"name":"resize","width":"wide"}]`, `bad_operation: resize: width is "wide"`},
		"job-3": {"/page", `["resize"]`, "unsupported_format: "},
		"job-4": {"/cut", `["resize"]`, "corrupt_image: "},
		"job-5": {"/large", `["resize"]`, "too_many_pixels: the picture is 65535x65535 pixels"},
		"job-6": {"/nothing", `["resize"]`, "not_found: http://" + addr + "/nothing answered 404 Not Found"},
	} {
		record := ask(r, job, "http://"+addr+tt.path, tt.operations, ended)
		if record.State != event.Dead || record.Attempt != 1 || !strings.HasPrefix(record.Error, tt.says) {
			t.Errorf("%s of %s is %s after attempt %d with %q, want %q", tt.operations, tt.path, record.State, record.Attempt, record.Error, tt.says)
		}
	}
}

func TestABusySourceIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	t.Parallel()
	src := hills(t, 64, 48)
	var hits atomic.Int32
	addr := source(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/busy":
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(http.StatusTooManyRequests)
		case hits.Add(1) == 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = w.Write(src)
		}
	})
	r := start(t, config(addr))
	record := ask(r, "job-1", "http://"+addr+"/busy", `["resize"]`, func(r *event.Record) bool { return r.State == event.Retrying })
	if !strings.HasPrefix(record.Error, "rate_limited: ") || record.Due == nil || time.Until(*record.Due) < 5*time.Minute {
		t.Errorf("retrying at %v after %q, want in ten minutes", record.Due, record.Error)
	}
	record = ask(r, "job-2", "http://"+addr+"/", `["resize"]`, ended)
	kept(r, "job-2", record)
	if record.Attempt != 2 {
		t.Errorf("it took %d attempts, want 2", record.Attempt)
	}
}

func TestConfigHasDefaults(t *testing.T) {
	for _, variable := range []string{"IMAGE_ALLOW", "IMAGE_MAX_PIXELS", "IMAGE_MEMORY", "IMAGE_CONCURRENCY"} {
		t.Setenv(variable, "")
	}
	var cfg imager.Config
	if err := daemon.Load(&cfg); err != nil {
		t.Fatal(err)
	}
	if len(cfg.Allow) != 0 || cfg.MaxPixels != 100_000_000 || cfg.Memory != 1<<30 || cfg.Concurrency != 0 {
		t.Errorf("defaults are %+v", cfg)
	}
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	for variable, value := range map[string]string{
		"IMAGE_ALLOW": "127.0.0.1:8000,10.0.0.0/8", "IMAGE_MAX_PIXELS": "0", "IMAGE_MEMORY": "5", "IMAGE_CONCURRENCY": "-1",
	} {
		t.Setenv(variable, value)
	}
	var cfg imager.Config
	err := daemon.Load(&cfg)
	if err == nil {
		t.Fatal("all of it was taken")
	}
	for _, want := range []string{
		`IMAGE_ALLOW: "10.0.0.0/8" is not an exact host:port`, "IMAGE_MAX_PIXELS is 0", "IMAGE_MEMORY is 5", "IMAGE_CONCURRENCY is -1",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error says\n%v\nwant %q", err, want)
		}
	}
}
