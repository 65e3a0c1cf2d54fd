package picture

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/gen2brain/jpegn"

	"handoff/shared/event"
)

func FuzzParseOperations(f *testing.F) {
	for _, s := range []string{
		`["resize","compress","watermark"]`, `[{"name":"resize","width":640,"height":null}]`,
		`[{"name":"compress","quality":80}]`, `[{"name":"watermark","text":"Handoff"}]`, `[{"name":"x"}]`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var ops []event.Operation
		if json.Unmarshal(b, &ops) != nil {
			return
		}
		p, err := Parse(ops)
		var e *Error
		switch {
		case err == nil && len(p.Names()) != len(ops):
			t.Errorf("%d operations became %d", len(ops), len(p.Names()))
		case err != nil && !errors.As(err, &e):
			t.Errorf("error %v has no code", err)
		case p.Compress != nil && (p.Compress.Quality < 1 || p.Compress.Quality > 100):
			t.Errorf("quality is %d", p.Compress.Quality)
		case p.Resize != nil && (p.Resize.Width < 1 || p.Resize.Height < 1 || (p.Resize.Width > 10_000 && p.Resize.Width != math.MaxInt)):
			t.Errorf("box is %+v", p.Resize)
		}
	})
}

func seeds(f *testing.F) {
	f.Helper()
	m := photo(24, 18)
	f.Add(pngBytes(f, m))
	f.Add(gifBytes(f, 2, gifFrame()))
	f.Add(unbase64(f, webpLossless))
	f.Add(unbase64(f, webpLossy))
	f.Add(unbase64(f, webpTransparent))
	f.Add(inkJPEG(0, [4]int{1, 2, 3, 4}))
	for _, o := range []jpegn.EncodeOptions{
		{}, {Progressive: true}, {RestartInterval: 1}, {Subsampling: jpegn.SubsampleGray}, {Subsampling: jpegn.Subsample444, Progressive: true},
	} {
		f.Add(inserted(jpegBytes(f, m, o), exif(binary.LittleEndian, 6)))
	}
}

// A header is read without a panic, whatever it holds, and never passes what the limits forbid.
func FuzzHeader(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := Open(src, Plan{}, Limits{})
		var e *Error
		if err != nil {
			if !errors.As(err, &e) {
				t.Errorf("error %v has no code", err)
			}
			return
		}
		if int64(p.Width)*int64(p.Height) > 100_000_000 || p.Memory() > 256<<20 || p.Memory() <= 0 {
			t.Errorf("passed %dx%d at %d bytes", p.Width, p.Height, p.Memory())
		}
	})
}

// Whatever is processed gives a JPEG of the promised size; whatever is not gives an error with a code.
func FuzzProcess(f *testing.F) {
	seeds(f)
	plan := Plan{Resize: &Resize{Width: 20, Height: 20}, Watermark: &Watermark{Text: "x"}}
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := Open(src, plan, Limits{Pixels: 1 << 16, Memory: 32 << 20})
		var e *Error
		if err != nil {
			return
		}
		r, err := p.Process(t.Context())
		switch {
		case err == nil:
			decoded(t, r)
		case !errors.As(err, &e):
			t.Errorf("error %v has no code", err)
		}
	})
}
