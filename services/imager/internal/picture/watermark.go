package picture

import (
	"fmt"
	"image"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Watermark writes a line of text into the bottom right corner: white, half transparent, with a dark shadow.
type Watermark struct {
	Text string // at most 120 characters, all of them in the Go Bold font (Latin, Greek, Cyrillic)
}

const (
	defaultText  = "Handoff"
	maxTextRunes = 120
	opacity      = 160 // of 255
	minTextSize  = 10  // in pixels: below that nobody can read it
)

func parseWatermark(o options) (*Watermark, error) {
	if err := o.only("text"); err != nil {
		return nil, err
	}
	text, err := o.text("text", defaultText)
	if err != nil {
		return nil, err
	}
	if n := utf8.RuneCountInString(text); n > maxTextRunes || strings.TrimSpace(text) == "" {
		return nil, failf(BadOperation, "watermark: text has %d characters; it needs 1 to %d, not all of them spaces", n, maxTextRunes)
	}
	face, err := opentype.Parse(gobold.TTF)
	if err != nil {
		return nil, fmt.Errorf("read the watermark's font: %w", err)
	}
	var buf sfnt.Buffer
	for _, c := range text {
		if glyph, err := face.GlyphIndex(&buf, c); err != nil || glyph == 0 || !unicode.IsPrint(c) {
			return nil, failf(BadOperation, "watermark: text holds %q; it may hold Latin, Greek and Cyrillic letters, digits, signs and spaces", c)
		}
	}
	return &Watermark{Text: text}, nil
}

// apply writes the text into r. A nil Watermark and a picture too small for any letter leave r as it is.
func (m *Watermark) apply(r *raster) error {
	if m == nil {
		return nil
	}
	mask, err := m.draw(r.w, r.h)
	if err != nil || mask == nil {
		return err
	}
	margin := r.w / 50
	at := image.Pt(r.w-margin-mask.Rect.Dx(), r.h-margin-mask.Rect.Dy())
	r.blend(mask, at.Add(image.Pt(1, 1)), 0)
	r.blend(mask, at, 255)
	return nil
}

// draw renders the text as large as a picture of w by h pixels wants it: nil when it has no room at all.
func (m *Watermark) draw(w, h int) (*image.Alpha, error) {
	parsed, err := opentype.Parse(gobold.TTF)
	if err != nil {
		return nil, fmt.Errorf("read the watermark's font: %w", err)
	}
	margin := w / 50
	size := max(float64(w)/28, minTextSize)
	for range 3 { // a face's measures are rounded to its size: the second look mostly fits
		face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
		if err != nil {
			return nil, fmt.Errorf("set the watermark's size to %g: %w", size, err)
		}
		bounds, _ := font.BoundString(face, m.Text)
		ascent, descent := face.Metrics().Ascent.Ceil(), face.Metrics().Descent.Ceil()
		tw, th := bounds.Max.X.Ceil()-bounds.Min.X.Floor(), ascent+descent
		roomX, roomY := w-2*margin-1, h-2*margin-1
		if tw <= roomX && th <= roomY {
			mask := image.NewAlpha(image.Rect(0, 0, tw, th))
			d := font.Drawer{Dst: mask, Src: image.Opaque, Face: face,
				Dot: fixed.Point26_6{X: fixed.I(-bounds.Min.X.Floor()), Y: fixed.I(ascent)}}
			d.DrawString(m.Text)
			return mask, nil
		}
		size *= 0.97 * min(float64(roomX)/float64(tw), float64(roomY)/float64(th))
		if size < 1 {
			return nil, nil
		}
	}
	return nil, nil
}

// blend lays mask over r at the given place: brightness goes towards luma, colour towards none.
func (r *raster) blend(mask *image.Alpha, at image.Point, luma uint32) {
	area := mask.Rect.Add(at).Intersect(image.Rect(0, 0, r.w, r.h))
	for y := area.Min.Y; y < area.Max.Y; y++ {
		row := r.y.row(y)
		for x := area.Min.X; x < area.Max.X; x++ {
			row[x] = mix(row[x], luma, weight(mask, x-at.X, y-at.Y))
		}
	}
	for _, c := range r.c {
		for y := area.Min.Y / 2; y < (area.Max.Y+1)/2; y++ {
			row := c.row(y)
			for x := area.Min.X / 2; x < (area.Max.X+1)/2; x++ {
				mx, my := 2*x-at.X, 2*y-at.Y
				sum := weight(mask, mx, my) + weight(mask, mx+1, my) + weight(mask, mx, my+1) + weight(mask, mx+1, my+1)
				row[x] = mix(row[x], 128, sum/4)
			}
		}
	}
}

// weight is how much of the text is at a place of the mask, of 255; none outside of it.
func weight(mask *image.Alpha, x, y int) uint32 {
	if !(image.Pt(x, y).In(mask.Rect)) {
		return 0
	}
	return uint32(mask.Pix[y*mask.Stride+x]) * opacity / 255
}

// mix moves from towards to by weight of 255.
func mix(from byte, to, weight uint32) byte {
	return byte((uint32(from)*(255-weight) + to*weight + 127) / 255) //nolint:gosec // an average of bytes
}
