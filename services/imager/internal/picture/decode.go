package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"runtime"

	"github.com/gen2brain/jpegn"
	"golang.org/x/image/webp"
)

// decode reads the pixels. A decoder that panics has met a damaged file.
func (p *Picture) decode() (r *raster, err error) {
	defer func() {
		if caught := recover(); caught != nil {
			r, err = nil, corrupt(p.Format, fmt.Errorf("decoder panicked: %v", caught))
		}
	}()
	m, err := p.decodeImage()
	if err != nil {
		return nil, decodeError(p.Format, err)
	}
	size := m.Bounds().Size()
	if p.Format == GIF {
		size = image.Pt(p.Width, p.Height) // a frame may cover less than the screen
	}
	return newRaster(m, size, p.cost.shrink), nil
}

func (p *Picture) decodeImage() (image.Image, error) {
	src := bytes.NewReader(p.src)
	switch p.Format {
	case PNG:
		return png.Decode(src)
	case GIF:
		return gif.Decode(src)
	case WebP:
		return decodeWebP(src)
	case JPEG:
		return p.decodeJPEG(src)
	}
	return nil, fmt.Errorf("no decoder for %q", p.Format)
}

// decodeError tells what nobody can read from what is damaged.
func decodeError(format Format, err error) error {
	var jpegSays jpeg.UnsupportedError
	var pngSays png.UnsupportedError
	if errors.As(err, &jpegSays) || errors.As(err, &pngSays) {
		return &Error{
			Code: UnsupportedFormat, Err: err,
			Message: fmt.Sprintf("the %s file is of a rare kind (%v); save it as an ordinary one", format.Name(), err),
		}
	}
	return corrupt(format, err)
}

var errNoRoom = errors.New("it would have to be decoded in full, which its size forbids")

// decodeJPEG takes jpegn, which is two to three times as fast and decodes at a part of the size. But jpegn makes up what
// is missing of a damaged file, and some rare kinds come out wrong; whatever looks like either is left to the standard
// library.
func (p *Picture) decodeJPEG(src *bytes.Reader) (image.Image, error) {
	if p.jpeg.ordinary {
		m, err := jpegn.Decode(src, &jpegn.Options{ScaleDenom: p.cost.scale})
		if err == nil && p.complete(m) {
			return m, nil
		}
	}
	if !p.cost.full {
		return nil, errNoRoom
	}
	if p.jpeg.progressive && p.jpeg.ordinary {
		// The estimate counts the coefficients once; what jpegn had of them is garbage now, and as large as the next.
		runtime.GC()
	}
	src.Reset(p.src)
	return jpeg.Decode(src)
}

// complete reports whether jpegn certainly had data to the end. Where data ends early it repeats the last colour or
// leaves zeros, so the last row of blocks is of one colour; a restart marker is missing where there should be more.
func (p *Picture) complete(m image.Image) bool {
	j := p.jpeg
	if j.interval > 0 && !j.progressive && j.restarts < (j.mcus+j.interval-1)/j.interval-1 {
		return false
	}
	var pix []byte
	var rowStride, rowBytes int
	switch m := m.(type) {
	case *image.YCbCr:
		pix, rowStride, rowBytes = m.Y, m.YStride, m.Rect.Dx()
	case *image.Gray:
		pix, rowStride, rowBytes = m.Pix, m.Stride, m.Rect.Dx()
	default:
		return false
	}
	height := m.Bounds().Dy()
	first := (p.Height - 1) / j.mcuHeight * j.mcuHeight / p.cost.scale
	for y := first; y < height; y++ {
		row := pix[y*rowStride:][:rowBytes]
		if bytes.Count(row, pix[first*rowStride:][:1]) != len(row) {
			return true
		}
	}
	return false
}

// decodeWebP widens the brightness of a lossy WebP, which runs from 16 to 235 as in video, to the full range that JPEG
// and everything else here has; x/image leaves it as it is.
func decodeWebP(src *bytes.Reader) (image.Image, error) {
	m, err := webp.Decode(src)
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *image.YCbCr:
		widen(m)
	case *image.NYCbCrA:
		widen(&m.YCbCr)
	}
	return m, nil
}

func widen(m *image.YCbCr) {
	var luma, chroma [256]byte
	for i := range luma {
		v := int32(i) //nolint:gosec // below 256
		luma[i] = clamp(((v-16)*255 + 109) / 219)
		chroma[i] = clamp((v-128)*255/224 + 128)
	}
	translate(m.Y, &luma)
	translate(m.Cb, &chroma)
	translate(m.Cr, &chroma)
}

func translate(pix []byte, table *[256]byte) {
	for i, v := range pix {
		pix[i] = table[v]
	}
}
