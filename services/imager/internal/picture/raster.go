package picture

import (
	"image"
	"image/color"
	"image/draw"
)

// A plane is one channel of a picture, a byte a sample.
type plane struct {
	pix       []byte
	w, h      int
	rowStride int
}

func newPlane(w, h int) plane { return plane{pix: make([]byte, w*h), w: w, h: h, rowStride: w} }

func (p plane) row(y int) []byte { return p.pix[y*p.rowStride:][:p.w] }

// A raster is a picture between decode and encode: brightness and two colour differences, as JPEG has them, so that a
// JPEG is never turned into RGB and back. Grey pictures have no colour planes. The colour planes of a decoded picture
// are as coarse as its format has them; [raster.resize] makes them half of each side, which is what the encoder writes.
type raster struct {
	w, h int
	y    plane
	c    []plane // Cb and Cr, or none
}

// image gives r to the encoder, without a copy.
func (r *raster) image() image.Image {
	rect := image.Rect(0, 0, r.w, r.h)
	if len(r.c) == 0 {
		return &image.Gray{Pix: r.y.pix, Stride: r.y.rowStride, Rect: rect}
	}
	return &image.YCbCr{
		Y: r.y.pix, YStride: r.y.rowStride,
		Cb: r.c[0].pix, Cr: r.c[1].pix, CStride: r.c[0].rowStride,
		SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: rect,
	}
}

// newRaster takes a decoded picture over. Where it has planes already they are kept; anything else is flattened on
// white, and shrunk by averaging squares of the given side on the way, for the picture at full size in another form
// would be the largest thing in memory.
func newRaster(m image.Image, size image.Point, shrink int) *raster {
	switch m := m.(type) {
	case *image.YCbCr:
		if r := fromYCbCr(m); r != nil {
			return r
		}
	case *image.Gray:
		b := m.Bounds()
		return &raster{w: b.Dx(), h: b.Dy(), y: plane{pix: m.Pix, w: b.Dx(), h: b.Dy(), rowStride: m.Stride}}
	}
	return flatten(m, size, shrink)
}

// fromYCbCr gives nil for a ratio that it doesn't know.
func fromYCbCr(m *image.YCbCr) *raster {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	cw, ch := w, h
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio444:
	case image.YCbCrSubsampleRatio422:
		cw = (w + 1) / 2
	case image.YCbCrSubsampleRatio420:
		cw, ch = (w+1)/2, (h+1)/2
	case image.YCbCrSubsampleRatio440:
		ch = (h + 1) / 2
	case image.YCbCrSubsampleRatio411:
		cw = (w + 3) / 4
	case image.YCbCrSubsampleRatio410:
		cw, ch = (w+3)/4, (h+1)/2
	default:
		return nil
	}
	return &raster{
		w: w, h: h,
		y: plane{pix: m.Y, w: w, h: h, rowStride: m.YStride},
		c: []plane{
			{pix: m.Cb, w: cw, h: ch, rowStride: m.CStride},
			{pix: m.Cr, w: cw, h: ch, rowStride: m.CStride},
		},
	}
}

// flatten lays m on a white ground of the given size, whose corner is at 0,0, and averages squares of shrink pixels.
func flatten(m image.Image, size image.Point, shrink int) *raster {
	w, h := (size.X+shrink-1)/shrink, (size.Y+shrink-1)/shrink
	r := &raster{w: w, h: h, y: newPlane(w, h), c: []plane{newPlane(w, h), newPlane(w, h)}}
	band := image.NewRGBA(image.Rect(0, 0, size.X, shrink))
	for y := range h {
		rows := min(shrink, size.Y-y*shrink)
		for i := range band.Pix {
			band.Pix[i] = 0xff
		}
		at := image.Pt(0, y*shrink)
		draw.Draw(band, image.Rect(0, 0, size.X, rows).Intersect(m.Bounds().Sub(at)), m, origin(m, at), draw.Over)
		averageRow(r, y, band.Pix[:rows*band.Stride], band.Stride, shrink)
	}
	return r
}

// origin is where drawing of m begins in a band that lies at at: draw.Draw wants the source point of the clipped
// rectangle's corner.
func origin(m image.Image, at image.Point) image.Point {
	b := m.Bounds()
	return image.Pt(max(at.X, b.Min.X), max(at.Y, b.Min.Y))
}

// averageRow writes row y of r from the opaque RGBA rows of one band.
func averageRow(r *raster, y int, rgba []byte, rowStride, shrink int) {
	luma, cb, cr := r.y.row(y), r.c[0].row(y), r.c[1].row(y)
	rows := len(rgba) / rowStride
	for x := range luma {
		from, to := x*shrink*4, min((x+1)*shrink*4, rowStride)
		var sr, sg, sb, n uint32
		for row := range rows {
			line := rgba[row*rowStride:][from:to]
			for ; len(line) >= 4; line = line[4:] {
				sr, sg, sb, n = sr+uint32(line[0]), sg+uint32(line[1]), sb+uint32(line[2]), n+1
			}
		}
		if n > 1 {
			sr, sg, sb = (sr+n/2)/n, (sg+n/2)/n, (sb+n/2)/n
		}
		luma[x], cb[x], cr[x] = color.RGBToYCbCr(uint8(sr), uint8(sg), uint8(sb)) //nolint:gosec // averages of bytes
	}
}
