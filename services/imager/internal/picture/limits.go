package picture

// Limits bound what one picture may cost. They are checked on the header, before anything is decoded: when a decoder
// runs out of memory the whole process dies, so nothing later could catch it. A field that is zero means its default.
type Limits struct {
	// Bytes is the size of the file. Default 25 MiB.
	Bytes int64
	// Pixels is width times height. Default 100,000,000.
	Pixels int64
	// Side is the longer of width and height, in pixels. Default 30,000.
	Side int
	// Memory is the estimate for decoding and processing, in bytes. Default 256 MiB.
	Memory int64
	// Scans is how many passes a JPEG may be drawn in. Default 64; usual are 1 and 10.
	Scans int
}

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 25 << 20
	}
	if l.Pixels == 0 {
		l.Pixels = 100_000_000
	}
	if l.Side == 0 {
		l.Side = 30_000
	}
	if l.Memory == 0 {
		l.Memory = 256 << 20
	}
	if l.Scans == 0 {
		l.Scans = 64
	}
	return l
}

// check refuses a header that is over the limits which need no estimate.
func (l Limits) check(h Header) error {
	switch {
	case h.Width <= 0 || h.Height <= 0:
		return failf(CorruptImage, "the picture is %dx%d pixels: it has none; save it again", h.Width, h.Height)
	case h.Width > l.Side || h.Height > l.Side:
		return failf(TooManyPixels, "the picture is %dx%d pixels and a side may have %d; send a smaller one",
			h.Width, h.Height, l.Side)
	case int64(h.Width)*int64(h.Height) > l.Pixels:
		return failf(TooManyPixels, "the picture is %dx%d pixels, %d in all, and %d are allowed; send a smaller one",
			h.Width, h.Height, int64(h.Width)*int64(h.Height), l.Pixels)
	case h.scans > l.Scans:
		return failf(TooManyScans, "the JPEG is drawn in %d scans and %d are allowed; save it as a baseline JPEG",
			h.scans, l.Scans)
	}
	return nil
}
