package picture

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"testing"

	"github.com/gen2brain/jpegn"
)

// A picture whose quarters have four colours is stored as each kind of camera would, and always comes out upright.
func TestOrientation(t *testing.T) {
	t.Parallel()
	const w, h = 96, 64
	quarters := []color.RGBA{{250, 0, 0, 255}, {0, 250, 0, 255}, {0, 0, 250, 255}, {250, 250, 0, 255}}
	upright := image.NewRGBA(image.Rect(0, 0, w, h))
	for i, c := range quarters {
		at := image.Pt(i%2*w/2, i/2*h/2)
		draw.Draw(upright, image.Rectangle{at, at.Add(image.Pt(w/2, h/2))}, image.NewUniform(c), image.Point{}, draw.Src)
	}
	// Where the stored pixel x,y is in the upright picture, by the EXIF standard's words: its row 0 is the visual top,
	// its column 0 the visual left, and so on.
	from := map[uint16]func(x, y int) (int, int){
		1: func(x, y int) (int, int) { return x, y },
		2: func(x, y int) (int, int) { return w - 1 - x, y },
		3: func(x, y int) (int, int) { return w - 1 - x, h - 1 - y },
		4: func(x, y int) (int, int) { return x, h - 1 - y },
		5: func(x, y int) (int, int) { return y, x },
		6: func(x, y int) (int, int) { return w - 1 - y, x },
		7: func(x, y int) (int, int) { return w - 1 - y, h - 1 - x },
		8: func(x, y int) (int, int) { return y, h - 1 - x },
	}
	for o, place := range from {
		for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
			for _, box := range []int{48, 1000} {
				t.Run(fmt.Sprintf("%d %v %d", o, order, box), func(t *testing.T) {
					t.Parallel()
					stored := image.NewRGBA(image.Rect(0, 0, w, h))
					if o >= 5 {
						stored = image.NewRGBA(image.Rect(0, 0, h, w))
					}
					for y := range stored.Rect.Dy() {
						for x := range stored.Rect.Dx() {
							ux, uy := place(x, y)
							stored.Set(x, y, upright.At(ux, uy))
						}
					}
					src := inserted(jpegBytes(t, stored, jpegn.EncodeOptions{Subsampling: jpegn.Subsample422}), exif(order, o))
					r, m := mustProcess(t, src, Plan{Resize: &Resize{Width: box, Height: box}})
					wantW, wantH := min(w, box), min(h, box*h/w)
					if r.Width != wantW || r.Height != wantH {
						t.Fatalf("size is %dx%d, want %dx%d", r.Width, r.Height, wantW, wantH)
					}
					for i, c := range quarters {
						x, y := wantW/4+i%2*wantW/2, wantH/4+i/2*wantH/2
						if got, want := rgbAt(m, x, y), [3]int{int(c.R), int(c.G), int(c.B)}; !near(got, want, 25) {
							t.Errorf("quarter %d is %v, want about %v", i, got, want)
						}
					}
				})
			}
		}
	}
}

func TestBrokenExifIsIgnored(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":           "",
		"no directory":    "Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08",
		"far directory":   "Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff\x00\x01",
		"cut entry":       "Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x09\x01\x12\x00\x03",
		"orientation 9":   "Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x09\x00\x00",
		"not a short":     "Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x04\x00\x00\x00\x01\x00\x06\x00\x00",
		"unknown order":   "Exif\x00\x00XX\x00\x2a\x00\x00\x00\x08",
		"something other": "http://ns.adobe.com/xap/1.0/\x00<x/>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if o := exifOrientation([]byte(body)); o != 0 {
				t.Errorf("orientation is %d, want none", o)
			}
		})
	}
}
