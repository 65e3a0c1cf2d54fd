package picture

import (
	"bytes"
	"fmt"
	"image/jpeg"
)

// Compress sets how hard the result is compressed.
type Compress struct {
	Quality int // of the JPEG, 1 (smallest) to 100 (best)
}

const (
	compressQuality = 80 // with compress, unless it says otherwise
	plainQuality    = 90 // without compress: the result should not look worse than what came in
)

func parseCompress(o options) (*Compress, error) {
	if err := o.only("quality"); err != nil {
		return nil, err
	}
	q, err := o.number("quality", 1, 100, compressQuality)
	if err != nil {
		return nil, err
	}
	return &Compress{Quality: q}, nil
}

// encode writes r as a baseline JPEG. A nil Compress takes the quality for pictures that nobody asked to compress.
func (c *Compress) encode(r *raster) ([]byte, error) {
	quality := plainQuality
	if c != nil {
		quality = c.Quality
	}
	var out bytes.Buffer
	out.Grow(r.w * r.h / 8)
	if err := jpeg.Encode(&out, r.image(), &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("encode %dx%d as JPEG: %w", r.w, r.h, err)
	}
	return out.Bytes(), nil
}
