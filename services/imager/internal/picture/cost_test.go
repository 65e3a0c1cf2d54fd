//go:build !race

// The race detector has memory of its own, and hands less of what is pooled back.

package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"runtime"
	"testing"

	"github.com/gen2brain/jpegn"
)

// All that a picture takes, nothing of it collected meanwhile, is within the estimate by which it is admitted, whatever
// becomes of it. Not parallel: it counts the process's memory.
func TestTheEstimateHolds(t *testing.T) {
	m := photo(1200, 900)
	white := image.NewRGBA(m.Rect) // its lower half is: jpegn's work is doubted and done again
	copy(white.Pix, bytes.Repeat([]byte{255}, len(m.Pix)))
	copy(white.Pix, m.Pix[:len(m.Pix)/2])
	deep, grey := image.NewNRGBA64(m.Rect), image.NewGray(m.Rect)
	paletted := image.NewPaletted(m.Rect, color.Palette{color.Black, color.White, color.Transparent})
	for i := range grey.Pix { // the grain of the photo, for it is hard to compress
		grey.Pix[i], paletted.Pix[i] = m.Pix[4*i], m.Pix[4*i]%3
		copy(deep.Pix[8*i:], m.Pix[4*i:4*i+4])
	}
	baseline := jpegBytes(t, m, jpegn.EncodeOptions{})

	mark := &Watermark{Text: "As long as the picture is wide, and large"}
	plans := map[string]Plan{
		"small":    {Resize: &Resize{Width: 100, Height: 100}, Watermark: mark},
		"default":  {Resize: &Resize{Width: 1280, Height: 1280}, Watermark: mark, Compress: &Compress{Quality: 80}},
		"as it is": {Watermark: mark, Compress: &Compress{Quality: 100}},
	}
	for name, src := range map[string][]byte{
		"baseline":    baseline,
		"turned":      inserted(baseline, exif(binary.BigEndian, 6)),
		"4:4:4":       jpegBytes(t, m, jpegn.EncodeOptions{Subsampling: jpegn.Subsample444}),
		"grey":        jpegBytes(t, m, jpegn.EncodeOptions{Subsampling: jpegn.SubsampleGray}),
		"progressive": jpegBytes(t, m, jpegn.EncodeOptions{Progressive: true}),
		"white below": jpegBytes(t, white, jpegn.EncodeOptions{}),
		"cut":         append(baseline[:len(baseline)/2:len(baseline)/2], 0xff, markEOI),
		"PNG":         pngBytes(t, m),
		"deep PNG":    pngBytes(t, deep),
		"grey PNG":    pngBytes(t, grey),
		"palette PNG": pngBytes(t, paletted),
		"GIF":         gifBytes(t, 1, paletted),
	} {
		for of, plan := range plans {
			p, err := Open(src, plan, Limits{})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err = p.Process(t.Context())
			runtime.ReadMemStats(&after)
			used := int64(after.TotalAlloc-before.TotalAlloc) + int64(len(src)) //nolint:gosec // far below
			// Of the overhead little is enough here, so that it can't hide what grows with the picture.
			if most := p.Memory() - overhead + 1<<20; used > most {
				t.Errorf("%s, %s (%v): %d bytes, want at most %d", name, of, err, used, most)
			}
		}
	}
}
