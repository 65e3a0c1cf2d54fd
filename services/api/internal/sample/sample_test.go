package sample_test

import (
	"bytes"
	"image/jpeg"
	"os"
	"sync"
	"testing"

	"handoff/services/api/internal/sample"
)

func TestLandscapeIsAPictureWorthProcessing(t *testing.T) {
	t.Parallel()
	p := landscape(t, sample.New())
	cfg, err := jpeg.DecodeConfig(bytes.NewReader(p.Data))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Width != 1920 || cfg.Height != 1440 {
		t.Errorf("size is %d x %d, want 1920 x 1440", cfg.Width, cfg.Height)
	}
	if n := len(p.Data); n < 100_000 || n > 400_000 {
		t.Errorf("the file has %d bytes, want 100 to 400 kB", n)
	}
	if p.ContentType != "image/jpeg" || len(p.Digest) != 64 {
		t.Errorf("content type %q, digest %q", p.ContentType, p.Digest)
	}
	if path := os.Getenv("SAMPLE_OUT"); path != "" { // to be looked at
		if err := os.WriteFile(path, p.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEverySetDrawsTheSamePicture(t *testing.T) {
	t.Parallel()
	if a, b := landscape(t, sample.New()), landscape(t, sample.New()); a.Digest != b.Digest {
		t.Errorf("digests differ: %s and %s", a.Digest, b.Digest)
	}
}

func TestAPictureIsDrawnOnce(t *testing.T) {
	t.Parallel()
	s := sample.New()
	first := landscape(t, s)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if p := landscape(t, s); &p.Data[0] != &first.Data[0] {
				t.Error("drawn again")
			}
		})
	}
	wg.Wait()
}

func TestUnknownNameIsNoPicture(t *testing.T) {
	t.Parallel()
	if _, ok, err := sample.New().Picture("../landscape.jpg"); ok || err != nil {
		t.Errorf("got %v, %v; want false, nil", ok, err)
	}
}

func BenchmarkDraw(b *testing.B) {
	for b.Loop() {
		landscape(b, sample.New())
	}
}

func landscape(t testing.TB, s *sample.Set) sample.Picture {
	t.Helper()
	p, ok, err := s.Picture(sample.Landscape)
	if !ok || err != nil {
		t.Errorf("Picture(%q): %v, %v", sample.Landscape, ok, err)
	}
	return p
}
