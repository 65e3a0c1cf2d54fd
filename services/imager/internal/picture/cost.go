package picture

// A cost is how a picture will be decoded for a plan, and what that takes.
type cost struct {
	scale  int   // a JPEG is decoded at this part of its size: 1, 2, 4 or 8
	shrink int   // what comes without planes is shrunk by averaging squares of this side
	full   bool  // a JPEG may be decoded in full by the standard library
	memory int64 // in bytes
}

// overhead is what a picture costs however small it is: the font, the rows of a resize, the encoder.
const overhead = 16 << 20

// estimate chooses how to decode a file of size bytes for a result of w by h pixels, and says what that needs at most.
// What a picture leaves behind for the collector is counted too: all of it twice but the coefficients of a progressive
// JPEG, which are one piece and the largest.
func (h Header) estimate(size int64, w, hgt int, limit int64) cost {
	if h.orientation.lying() {
		w, hgt = hgt, w
	}
	pixels := int64(h.Width) * int64(h.Height)
	// At least twice the size is left to the resampler, so that the squares don't show.
	shrink := max(1, min(h.Width/(2*w), h.Height/(2*hgt)))
	flat := 3 * pixels / int64(shrink) / int64(shrink)
	fixed := overhead + h.finish(int64(w)*int64(hgt))
	if h.Format != JPEG {
		return cost{shrink: shrink, memory: 2*(size+pixels*h.pixelBytes+flat) + fixed}
	}

	scale := 1
	for scale < 8 && 2*scaled(h.Width, 2*scale) >= 3*w && 2*scaled(h.Height, 2*scale) >= 3*hgt {
		scale *= 2 // while 1.5 times the size is left to the resampler
	}
	var coefficients int64
	if h.jpeg.progressive {
		coefficients = 4 * h.jpeg.samples
	}
	full := 2*(size+h.jpeg.samples) + coefficients + fixed
	if !h.jpeg.ordinary {
		const rgba = 4
		return cost{scale: 1, shrink: shrink, full: true, memory: full + 2*(rgba*pixels+flat)}
	}
	if full <= limit {
		return cost{scale: scale, shrink: shrink, full: true, memory: full}
	}
	samples := h.jpeg.samples / int64(scale) / int64(scale)
	return cost{scale: scale, shrink: shrink, memory: 2*(size+samples) + coefficients + fixed}
}

// finish is what a result of so many pixels takes besides itself: the watermark and the JPEG, and for a picture that has to
// be turned another copy.
func (h Header) finish(pixels int64) int64 {
	if h.orientation > upright {
		return 4 * pixels
	}
	return pixels
}

func scaled(side, by int) int { return (side + by - 1) / by }
