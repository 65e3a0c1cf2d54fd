package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/gen2brain/jpegn"
)

func TestBadPictures(t *testing.T) {
	t.Parallel()
	baseline := jpegBytes(t, photo(200, 160), jpegn.EncodeOptions{})
	progressive := jpegBytes(t, photo(200, 160), jpegn.EncodeOptions{Progressive: true})
	restarts := jpegBytes(t, photo(200, 160), jpegn.EncodeOptions{RestartInterval: 4})
	aPNG := pngBytes(t, photo(50, 40))
	end := []byte{0xff, markEOI}
	cut := func(b []byte, tail ...byte) []byte { return append(bytes.Clone(b[:len(b)/2]), tail...) }
	sos := bytes.Index(progressive, []byte{0xff, markSOS})

	for _, tt := range []struct {
		name string
		src  []byte
		want Code
	}{
		{"nothing", nil, UnsupportedFormat},
		{"HTML", []byte("<!doctype html><title>404</title>"), UnsupportedFormat},
		{"SVG", []byte(`<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>`), UnsupportedFormat},
		{"PDF", []byte("%PDF-1.7\n"), UnsupportedFormat},
		{"ZIP", []byte("PK\x03\x04\x14\x00"), UnsupportedFormat},
		{"gzip", []byte("\x1f\x8b\x08\x00"), UnsupportedFormat},
		{"animated WebP", []byte("RIFF\x1a\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00\x0f\x00\x00\x0f\x00\x00"), UnsupportedFormat},
		{"arithmetic JPEG", bytes.Replace(baseline, []byte{0xff, markSOF0, 0, 17}, []byte{0xff, 0xc9, 0, 17}, 1), UnsupportedFormat},
		{"12-bit JPEG", bytes.Replace(baseline, []byte{0xff, markSOF0, 0, 17, 8}, []byte{0xff, markSOF1, 0, 17, 12}, 1), UnsupportedFormat},
		{"two channels", bytes.Replace(baseline, []byte{0, 160, 0, 200, 3}, []byte{0, 160, 0, 200, 2}, 1), UnsupportedFormat},

		{"start of a JPEG", []byte{0xff, 0xd8}, CorruptImage},
		{"start of a PNG", []byte("\x89PNG\r\n\x1a\n"), CorruptImage},
		{"start of a GIF", []byte("GIF89a"), CorruptImage},
		{"start of a WebP", []byte("RIFF\x04\x00\x00\x00WEBP"), CorruptImage},
		{"JPEG without a picture", append([]byte{0xff, 0xd8}, end...), CorruptImage},
		{"JPEG header only", baseline[:300], CorruptImage},
		{"cut JPEG", cut(baseline), CorruptImage},
		{"cut JPEG with an end", cut(baseline, end...), CorruptImage},
		{"cut progressive JPEG", cut(progressive), CorruptImage},
		{"cut JPEG with restarts and an end", cut(restarts, end...), CorruptImage},
		{"JPEG that claims to be higher", sized(t, baseline, 200, 600), CorruptImage},
		{"JPEG that claims to be wider", sized(t, baseline, 600, 160), CorruptImage},
		{"progressive JPEG that claims to be higher", sized(t, progressive, 200, 600), CorruptImage},
		{"JPEG of no height", sized(t, baseline, 200, 0), CorruptImage},
		{"JPEG of two frames", inserted(baseline, segmentOf(markSOF0, 8, 0, 8, 0, 8, 1, 1, 0x11, 0)), CorruptImage},
		{"cut PNG", cut(aPNG), CorruptImage},
		{"damaged PNG", bytes.Replace(aPNG, []byte("IDAT"), []byte("IDAT\xff\x00"), 1), CorruptImage},
		{"cut GIF", cut(gifBytes(t, 1, gifFrame())), CorruptImage},
		{"cut WebP", unbase64(t, webpLossless)[:30], CorruptImage},
		{"WebP that claims to be longer", longWebP(t), CorruptImage},
		{"WebP with nothing behind its features", unbase64(t, webpTransparent)[:30], CorruptImage},

		{"PNG of 100,000 by 100,000", pngClaiming(t, 100_000, 100_000, 16, 6), TooManyPixels},
		{"PNG of 50,000 by 50,000", pngClaiming(t, 50_000, 50_000, 1, 0), TooManyPixels},
		{"PNG of 20,000 by 20,000", pngClaiming(t, 20_000, 20_000, 8, 6), TooManyPixels},
		{"PNG that fits but for memory", pngClaiming(t, 9_000, 9_000, 16, 6), TooManyPixels},
		{"JPEG of 65,500 by 65,500", sized(t, baseline, 65_500, 65_500), TooManyPixels},
		{"JPEG of 65,500 by 1", sized(t, baseline, 65_500, 1), TooManyPixels},
		{"progressive JPEG that fits but for memory", sized(t, progressive, 10_000, 9_000), TooManyPixels},
		{"GIF of 65,535 by 65,535", []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"), TooManyPixels},

		{"JPEG of 1,000 scans", append(append(bytes.Clone(progressive[:sos]),
			bytes.Repeat(segmentOf(markSOS, 1, 1, 0, 0, 0, 0), 1000)...), end...), TooManyScans},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Process(t.Context(), tt.src, Plan{Resize: &Resize{Width: 100, Height: 100}})
			var e *Error
			if !errors.As(err, &e) || e.Code != tt.want {
				t.Fatalf("error is %v, want %s", err, tt.want)
			}
			if !e.Permanent() || !strings.HasPrefix(err.Error(), string(tt.want)+": ") || len(err.Error()) > 300 {
				t.Errorf("error reads %q", err)
			}
		})
	}
}

// longWebP is a small file whose picture claims to go on for 16 MB.
func longWebP(t *testing.T) []byte {
	t.Helper()
	src := unbase64(t, webpLossy)
	binary.LittleEndian.PutUint32(src[4:], 1<<30)
	binary.LittleEndian.PutUint32(src[16:], 1<<24)
	return src
}

// What fits within the limits but for its claims is refused before anything is allocated for it. Not parallel: it
// counts the process's memory.
func TestBombsCostNothing(t *testing.T) {
	bombs := [][]byte{
		pngClaiming(t, 100_000, 100_000, 16, 6),
		[]byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"),
		sized(t, jpegBytes(t, photo(16, 16), jpegn.EncodeOptions{}), 65_500, 65_500),
		longWebP(t),
	}
	for _, src := range bombs {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Process(t.Context(), src, Plan{}); err == nil {
			t.Error("a bomb was processed")
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("refusing %.8q took %d bytes", src, used)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	src := jpegBytes(t, photo(64, 48), jpegn.EncodeOptions{Progressive: true})
	size := int64(len(src))
	for _, tt := range []struct {
		name   string
		limits Limits
		want   Code // empty: it is let through
	}{
		{"defaults", Limits{}, ""},
		{"as many bytes as allowed", Limits{Bytes: size}, ""},
		{"one byte too many", Limits{Bytes: size - 1}, TooLarge},
		{"as many pixels as allowed", Limits{Pixels: 64 * 48}, ""},
		{"one pixel too many", Limits{Pixels: 64*48 - 1}, TooManyPixels},
		{"a side as long as allowed", Limits{Side: 64}, ""},
		{"a side too long", Limits{Side: 63}, TooManyPixels},
		{"too little memory", Limits{Memory: 1 << 20}, TooManyPixels},
		{"too many scans", Limits{Scans: 1}, TooManyScans},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(src, Plan{}, tt.limits)
			var e *Error
			if errors.As(err, &e); (err == nil) != (tt.want == "") || (e != nil && e.Code != tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

// A picture that ends in one colour looks to jpegn's reader as a cut one does; it is not taken for one.
func TestPlainPicturesAreWhole(t *testing.T) {
	t.Parallel()
	m := photo(160, 120)
	for i := 4 * 160 * 60; i < len(m.Pix); i++ {
		m.Pix[i] = 255
	}
	for _, o := range []jpegn.EncodeOptions{{}, {Progressive: true}, {RestartInterval: 5}, {Subsampling: jpegn.SubsampleGray}} {
		if r, _ := mustProcess(t, jpegBytes(t, m, o), Plan{}); r.Width != 160 {
			t.Errorf("width is %d", r.Width)
		}
	}
}
