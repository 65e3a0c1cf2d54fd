package picture

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"strings"
	"testing"
)

func plain(w, h int, c color.Color) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(m, m.Rect, image.NewUniform(c), image.Point{}, draw.Src)
	return m
}

// The text is seen on every ground, in the bottom right corner and nowhere else.
func TestWatermarkIsSeen(t *testing.T) {
	t.Parallel()
	for name, ground := range map[string]color.Color{
		"black": color.Black, "white": color.White, "red": color.RGBA{R: 255, A: 255}, "blue": color.RGBA{B: 255, A: 255},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := pngBytes(t, plain(640, 480, ground))
			_, bare := mustProcess(t, src, Plan{Compress: &Compress{Quality: 100}})
			_, marked := mustProcess(t, src, Plan{Compress: &Compress{Quality: 100}, Watermark: &Watermark{Text: "Handoff"}})
			area, strongest := changed(bare, marked)
			if strongest < 100 {
				t.Errorf("the strongest change is %d of 255: not to be seen", strongest)
			}
			// A seventh of the width is little for seven letters of a 28th; the encoder smears by a block of 16.
			if area.Dx() < 640/10 || area.Dy() < 10 {
				t.Errorf("the text covers %v: too small", area)
			}
			if corner := image.Rect(640/2, 480*4/5, 640-640/50+16, 480-640/50+16); !area.In(corner) {
				t.Errorf("the text covers %v, want it within %v", area, corner)
			}
		})
	}
}

func changed(a, b image.Image) (area image.Rectangle, strongest int) {
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			p, q := rgbAt(a, x, y), rgbAt(b, x, y)
			if near(p, q, 8) {
				continue
			}
			area = area.Union(image.Rect(x, y, x+1, y+1))
			for i := range p {
				strongest = max(strongest, p[i]-q[i], q[i]-p[i])
			}
		}
	}
	return area, strongest
}

func TestWatermarkStaysWithinThePicture(t *testing.T) {
	t.Parallel()
	for _, size := range []image.Point{{40, 30}, {300, 8}, {60, 4000}, {2000, 12}, {200, 200}} {
		for _, text := range []string{"x", "Handoff", strings.Repeat("W", maxTextRunes)} {
			mask, err := (&Watermark{Text: text}).draw(size.X, size.Y)
			if err != nil {
				t.Fatal(err)
			}
			if mask == nil {
				continue // no room, which is an answer too
			}
			if room := size.Sub(image.Pt(2*(size.X/50), 2*(size.X/50))); mask.Rect.Dx() > room.X || mask.Rect.Dy() > room.Y {
				t.Errorf("%.10s on %v is %v", text, size, mask.Rect.Size())
			}
			if bytes.Count(mask.Pix, []byte{0}) == len(mask.Pix) {
				t.Errorf("%.10s on %v is empty", text, size)
			}
		}
	}
}

func TestWatermarkOnGreyStaysGrey(t *testing.T) {
	t.Parallel()
	m := image.NewGray(image.Rect(0, 0, 200, 100))
	_, got := mustProcess(t, pngBytes(t, m), Plan{Watermark: &Watermark{Text: "Handoff"}})
	if _, ok := got.(*image.Gray); !ok {
		t.Errorf("the result is %T, want grey", got)
	}
}
