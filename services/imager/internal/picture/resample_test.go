package picture

import (
	"image"
	"math"
	"testing"

	"github.com/gen2brain/jpegn"
	"golang.org/x/image/draw"
)

// A flat area stays exactly what it is, at every ratio.
func TestResampleKeepsFlatAreas(t *testing.T) {
	t.Parallel()
	for _, value := range []byte{0, 1, 128, 254, 255} {
		for _, to := range []int{1, 2, 7, 33, 50, 51, 99} {
			p := newPlane(50, 50)
			for i := range p.pix {
				p.pix[i] = value
			}
			out := p.resample(to, to)
			for _, v := range out.pix {
				if v != value {
					t.Fatalf("%d became %d at 50 to %d", value, v, to)
				}
			}
		}
	}
}

// The result is that of the library whose kernel is used, but for rounding.
func TestResampleAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	m := image.NewGray(image.Rect(0, 0, 301, 199))
	draw.Draw(m, m.Rect, photo(301, 199), image.Point{}, draw.Src)
	for _, size := range []image.Point{{150, 99}, {128, 85}, {40, 27}, {7, 5}, {1, 1}} {
		want := image.NewGray(image.Rectangle{Max: size})
		draw.CatmullRom.Scale(want, want.Rect, m, m.Rect, draw.Src, nil)
		got := plane{pix: m.Pix, w: 301, h: 199, rowStride: m.Stride}.resample(size.X, size.Y)
		for i := range want.Pix {
			if d := int(want.Pix[i]) - int(got.pix[i]); d > 2 || d < -2 {
				t.Errorf("%v: sample %d is %d, want %d", size, i, got.pix[i], want.Pix[i])
				break
			}
		}
	}
}

// Decoding at a part of the size costs no quality that one could see: 40 dB and more.
func TestScaledDecodeLooksLikeAFullOne(t *testing.T) {
	t.Parallel()
	src := jpegBytes(t, photo(1600, 1200), jpegn.EncodeOptions{Quality: 95})
	for _, box := range []int{100, 200, 400, 500, 1000} {
		p, err := Open(src, Plan{Resize: &Resize{Width: box, Height: box}}, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		scale := p.cost.scale
		quick, err := p.decode()
		if err != nil {
			t.Fatal(err)
		}
		p.cost.scale = 1
		full, err := p.decode()
		if err != nil {
			t.Fatal(err)
		}
		db := noise(quick.resize(p.w, p.h).y, full.resize(p.w, p.h).y)
		t.Logf("1600x1200 to %dx%d decoded at 1/%d: %.1f dB", p.w, p.h, scale, db)
		if db < 40 {
			t.Errorf("%d: %.1f dB, want at least 40", box, db)
		}
	}
}

// noise is the peak signal-to-noise ratio of two planes.
func noise(a, b plane) float64 {
	sum := 0.0
	for i := range a.pix {
		d := float64(a.pix[i]) - float64(b.pix[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(a.pix))/max(sum, 1))
}
