package sample

import (
	"fmt"
	"image"
	"image/color"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

const (
	width  = 1920
	height = 1440
)

// horizon is where the water begins, as a part of the height.
const horizon = 0.66

// A ridge is one line of hills: the farther, the paler.
type ridge struct {
	base, swing float64 // mean height and its variation, as parts of the height
	waves       float64 // how many hills fit into the width
	phase       float64
	top, foot   color.RGBA
}

func ridges() []ridge {
	return []ridge{
		{0.50, 0.085, 1.6, 0.4, color.RGBA{154, 160, 190, 255}, color.RGBA{214, 190, 190, 255}},
		{0.56, 0.070, 2.3, 2.1, color.RGBA{104, 122, 158, 255}, color.RGBA{176, 168, 178, 255}},
		{0.61, 0.045, 3.4, 4.0, color.RGBA{58, 88, 112, 255}, color.RGBA{104, 122, 132, 255}},
		{0.645, 0.030, 5.2, 1.2, color.RGBA{26, 56, 66, 255}, color.RGBA{38, 66, 72, 255}},
	}
}

// draw paints an evening at a lake. It writes rows and columns straight into the pixels: a drawing library's blending
// would cost several times as much as the encoding.
func draw(w, h int) (*image.RGBA, error) {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	sky(img)
	sun(img)
	for i, r := range ridges() {
		r.draw(img, i == len(ridges())-1)
	}
	water(img)
	return img, caption(img, "Handoff sample picture")
}

func sky(img *image.RGBA) {
	w, h := img.Rect.Dx(), int(float64(img.Rect.Dy())*horizon)
	zenith, middle, low := color.RGBA{44, 62, 112, 255}, color.RGBA{232, 142, 118, 255}, color.RGBA{252, 214, 156, 255}
	noise := uint32(1)
	for y := range h {
		f := float64(y) / float64(h)
		c := mix(middle, low, (f-0.6)/0.4)
		if f < 0.6 {
			c = mix(zenith, middle, f/0.6)
		}
		row := img.Pix[y*img.Stride : y*img.Stride+4*w]
		for x := 0; x < len(row); x += 4 {
			noise = noise*1664525 + 1013904223
			n := uint8(noise >> 30) // a grain of 0 to 3, against bands
			row[x], row[x+1], row[x+2], row[x+3] = c.R+n, c.G+n, c.B+n, 255
		}
	}
}

func sun(img *image.RGBA) {
	w, h := float64(img.Rect.Dx()), float64(img.Rect.Dy())
	cx, cy, r := w*0.68, h*0.43, h*0.055
	glow := r * 4
	for y := int(cy - glow); y < int(cy+glow); y++ {
		for x := int(cx - glow); x < int(cx+glow); x++ {
			d := math.Hypot(float64(x)-cx, float64(y)-cy)
			switch {
			case d <= r:
				img.SetRGBA(x, y, color.RGBA{255, 244, 214, 255})
			case d < glow:
				f := 1 - (d-r)/(glow-r)
				img.SetRGBA(x, y, mix(img.RGBAAt(x, y), color.RGBA{255, 226, 170, 255}, 0.75*f*f))
			}
		}
	}
}

// draw fills the columns under the ridge's line down to the water. On the nearest stand trees.
func (r ridge) draw(img *image.RGBA, trees bool) {
	w, h := img.Rect.Dx(), float64(img.Rect.Dy())
	bottom := int(h * horizon)
	noise := uint32(r.phase*1000) + 7
	for x := range w {
		a := float64(x)/float64(w)*2*math.Pi*r.waves + r.phase
		y := r.base - r.swing*(0.6*math.Sin(a)+0.3*math.Sin(2.3*a+1)+0.12*math.Sin(6.1*a)+0.05*math.Sin(17*a))
		if trees {
			y -= tree(x)
		}
		top := int(y * h)
		for py := top; py < bottom; py++ {
			noise = noise*1664525 + 1013904223
			c := mix(r.top, r.foot, float64(py-top)/float64(max(bottom-top, 1)))
			n := uint8(noise >> 29)
			o := py*img.Stride + 4*x
			img.Pix[o], img.Pix[o+1], img.Pix[o+2], img.Pix[o+3] = c.R+n, c.G+n, c.B+n, 255
		}
	}
}

// tree is how far the trees stand up at column x, as a part of the height: spruces, each a few steps of a triangle.
func tree(x int) float64 {
	const every = 26
	n := uint32(x/every)*2654435761 + 12345
	tall := 0.012 + 0.022*float64(n>>24)/255
	off := math.Abs(float64(x%every)-every/2) / (every / 2)
	return tall * max(0, 1-off-0.12*math.Mod(off*5, 1))
}

// water mirrors what stands above the horizon, darker and shaken by waves that grow towards the viewer.
func water(img *image.RGBA) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	top := int(float64(h) * horizon)
	deep := color.RGBA{20, 38, 66, 255}
	for y := top; y < h; y++ {
		f := float64(y-top) / float64(h-top)
		wave := math.Sin(math.Sqrt(float64(y-top))*6) * (1 + 9*f)
		from := min(max(top-1-int(float64(y-top)*1.35+wave), 0), top-1)
		shift := int(math.Sin(float64(y)*0.7) * (1 + 10*f))
		src, dst := img.Pix[from*img.Stride:from*img.Stride+4*w], img.Pix[y*img.Stride:y*img.Stride+4*w]
		keep := uint32(256 * (0.78 - 0.5*f))
		for x := range w {
			sx := 4 * min(max(x+shift, 0), w-1)
			dst[4*x] = blend(src[sx], deep.R, keep)
			dst[4*x+1] = blend(src[sx+1], deep.G, keep)
			dst[4*x+2] = blend(src[sx+2], deep.B, keep)
			dst[4*x+3] = 255
		}
	}
}

func caption(img *image.RGBA, text string) error {
	parsed, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return fmt.Errorf("parse the sample's font: %w", err)
	}
	size := float64(img.Rect.Dy()) / 30
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		return fmt.Errorf("open the sample's font: %w", err)
	}
	d := font.Drawer{
		Dst: img, Src: image.NewUniform(color.RGBA{255, 240, 220, 255}), Face: face,
		Dot: fixed.P(int(size), img.Rect.Dy()-int(size)),
	}
	d.DrawString(text)
	return nil
}

// mix is a for f <= 0, b for f >= 1, and between them in between.
func mix(a, b color.RGBA, f float64) color.RGBA {
	keep := uint32(256 * (1 - min(max(f, 0), 1)))
	return color.RGBA{blend(a.R, b.R, keep), blend(a.G, b.G, keep), blend(a.B, b.B, keep), 255}
}

// blend keeps that many 256ths of a, the rest is b.
func blend(a, b uint8, keep uint32) uint8 {
	return uint8((uint32(a)*keep + uint32(b)*(256-keep)) >> 8) //nolint:gosec // the mean of two bytes is a byte
}
