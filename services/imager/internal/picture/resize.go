package picture

import "math"

// Resize fits a picture into a box. It keeps the ratio of the sides and never enlarges.
type Resize struct {
	Width, Height int // of the box in pixels, 1 to 10000; math.MaxInt where only the other side is given
}

// defaultBox is the box of a resize without options.
const defaultBox = 1280

func parseResize(o options) (*Resize, error) {
	if err := o.only("width", "height"); err != nil {
		return nil, err
	}
	if len(o.values) == 0 {
		return &Resize{Width: defaultBox, Height: defaultBox}, nil
	}
	w, err := o.number("width", 1, 10_000, math.MaxInt)
	if err != nil {
		return nil, err
	}
	h, err := o.number("height", 1, 10_000, math.MaxInt)
	if err != nil {
		return nil, err
	}
	return &Resize{Width: w, Height: h}, nil
}

// fit gives the size that a picture of w by h pixels will have. A nil Resize leaves it as it is.
func (r *Resize) fit(w, h int) (int, int) {
	if r == nil || (w <= r.Width && h <= r.Height) {
		return w, h
	}
	scale := min(float64(r.Width)/float64(w), float64(r.Height)/float64(h))
	return shrunk(w, scale), shrunk(h, scale)
}

func shrunk(side int, scale float64) int {
	return max(1, int(math.Round(float64(side)*scale)))
}
